"""What a connection that breaks still hears, and what it must leave alone."""

from __future__ import annotations

import asyncio
import socket

import pytest

from relay.config import Security
from relay.deadlines import Deadlines
from relay.smtp import Fault, Phase
from relay.upstream.connection import Connection
from relay.upstream.dial import encrypt
from relay.upstream.server import Server, Waits

WAITS = Waits(connect=5, tls=5, replies=dict.fromkeys(Phase, 5.0))


@pytest.fixture
async def met():
    """A connection in clear, its own socket, and the upstream's end of it."""
    mine, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    connection = Connection(Server("upstream.example", 25, Security.STARTTLS, WAITS), Deadlines(loop), loop)
    await loop.create_connection(lambda: connection, sock=mine)
    yield connection, mine, theirs
    connection.abort()
    theirs.close()


async def test_an_early_refusal_is_heard_when_writing_failed(met):
    connection, _, theirs = met
    theirs.send(b"554 5.7.1 Not from you\r\n")
    connection.connection_lost(ConnectionResetError("reset"))
    assert connection.greeting.result().code == 554
    assert connection.dead


async def test_once_tls_has_begun_the_socket_is_not_read(met):
    """It may be closed by then, and its number another connection's, whose octets these would be."""
    connection, mine, theirs = met
    handshake = asyncio.create_task(encrypt(connection, Phase.STARTTLS))
    await asyncio.sleep(0.01)
    theirs.send(b"250 2.0.0 Somebody else's\r\n")
    connection.connection_lost(ConnectionResetError("reset"))
    assert connection.greeting.result().fault is Fault.DISCONNECTED
    assert mine.recv(100, socket.MSG_PEEK) == b"250 2.0.0 Somebody else's\r\n"
    theirs.shutdown(socket.SHUT_RDWR)
    assert (await handshake) is not None
