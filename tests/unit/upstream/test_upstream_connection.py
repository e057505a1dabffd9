"""What a connection that breaks still hears, and what it must leave alone."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

import pytest

from relay.config import Security
from relay.deadlines import Deadlines
from relay.smtp import Fault, Phase
from relay.upstream import names
from relay.upstream.connection import Connection
from relay.upstream.dial import connect, dial, encrypt
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


async def test_while_the_final_dot_waits_for_what_lies_unread_nobody_may_let_go(met):
    """Who did would take leave in the middle of the message, and the rest of it would still go out."""
    connection, _, theirs = met
    connection.data_received(b"220 upstream.example ESMTP\r\n")
    await asyncio.sleep(0.01)
    theirs.send(b"25")
    verdicts = []
    connection.finish(b".\r\n", verdicts.append)
    assert connection.asked
    assert not connection.usable()
    await asyncio.sleep(0.05)
    assert connection.dead
    assert not connection.asked
    assert [verdict.fault for verdict in verdicts] == [Fault.DISCONNECTED]
    assert theirs.recv(100) == b""


def has_addresses(monkeypatch, *hosts: str, port: int) -> None:
    """The name of the upstream leads there."""

    def found(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", (each, port)) for each in hosts]

    monkeypatch.setattr(names.socket, "getaddrinfo", found)


async def test_of_several_addresses_the_trouble_is_told_that_lies_furthest(monkeypatch):
    """That a machine without IPv6 cannot reach the other address is none."""
    loop = asyncio.get_running_loop()
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0) as closing:
        port = closing.sockets[0].getsockname()[1]
        server = Server("upstream.example", port, Security.IMPLICIT, WAITS)

        for order in (("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1")):
            has_addresses(monkeypatch, *order, port=port)
            told = await connect(server, Deadlines(loop))
            assert told.fault in (Fault.TLS, Fault.DISCONNECTED)


async def test_several_addresses_that_never_answer_take_no_longer_than_one(monkeypatch):
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = full.getsockname()[1]
        for _ in range(2):  # they fill its queue: it answers nobody else
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        has_addresses(monkeypatch, *["127.0.0.1"] * 4, port=port)
        server = Server("upstream.example", port, Security.PLAIN, Waits(0.6, 5, WAITS.replies))
        begun = loop.time()
        told = await connect(server, Deadlines(loop))
        assert told.fault is Fault.CONNECT_TIMEOUT
        assert 0.5 < loop.time() - begun < 1.1


@pytest.mark.parametrize(
    ("greetings", "code"),
    [
        ([b"554 5.3.2 Not here\r\n", b"220 up ESMTP\r\n"], None),
        ([b"", b"220 up ESMTP\r\n"], None),
        ([b"421 4.3.2 Busy\r\n", b"554 5.3.2 Not here\r\n", b"220 up ESMTP\r\n"], 421),
    ],
)
async def test_where_one_address_does_not_serve_the_next_is_tried(
    monkeypatch, greetings: list[bytes], code: int | None
):
    loop = asyncio.get_running_loop()
    begun: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.append(greetings[len(begun)])
        writer.write(begun[-1])
        if begun[-1].startswith(b"220"):
            await reader.readline()
            writer.write(b"250 up\r\n")
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as serving:
        port = serving.sockets[0].getsockname()[1]
        has_addresses(monkeypatch, *["127.0.0.1"] * len(greetings), port=port)
        found = await dial(Server("upstream.example", port, Security.PLAIN, WAITS), Deadlines(loop))
        if code is None:
            assert isinstance(found, Connection)
            found.abort()
        else:
            assert found.code == code
            assert len(begun) == 2  # a server that is busy is not asked at all of its addresses
        await asyncio.sleep(0.05)  # both sides close
