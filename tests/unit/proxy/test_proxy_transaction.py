"""A mail between two wires that do what no test can make the real ones do: writes that wait at a chosen moment."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from relay.config.url import Security
from relay.deadlines import NEVER, Deadlines
from relay.explain import Book
from relay.proxy.places import OwnPlaces
from relay.proxy.server import ClientConnection
from relay.proxy.service import Listener, Rules, Service, Teller, Ways
from relay.record.counters import Counters
from relay.record.journal import Journal
from relay.record.log import NoLog
from relay.smtp import Phase
from relay.upstream.connection import Connection
from relay.upstream.pool import Keeping, Pool
from relay.upstream.server import Server, Waits

_BOOK = """
- {id: any, reason: undefined, title: Refused, meaning: It was refused., advice: Ask them.}
"""


class Wire:
    """A transport. `unsent` are the octets that it could not write yet."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.unsent = 0
        self.reading = True

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 5) if name == "peername" else None

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return False

    def write(self, octets: bytes) -> None:
        self.written.append(octets)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        """Nothing is behind it."""

    abort = close


@pytest.fixture
async def mail(tmp_path):
    """A mail whose DATA the upstream has agreed to, and the two ends."""
    (tmp_path / "book.yaml").write_text(_BOOK)
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop)
    waits = Waits(connect=30.0, tls=10.0, replies=dict.fromkeys(Phase, 60.0))
    server = Server("127.0.0.1", 25, Security.PLAIN, waits, ehlo_name="relay.test")
    pool = Pool(server, Keeping(idle=2, idle_seconds=30.0, messages=4), deadlines)
    ways = Ways(Rules(hostname="relay.test"), pool, Teller(Book.read(tmp_path / "book.yaml"), "full"))
    service = Service(ways, Journal(NoLog(), Counters().row(0)), deadlines, OwnPlaces())
    upstream, client = Connection(server, deadlines, loop), ClientConnection(service, Listener(), loop)
    there, here = Wire(), Wire()
    upstream.connection_made(there)
    upstream.data_received(b"220 upstream.test\r\n")
    pool.give_back(upstream)
    client.connection_made(here)
    for line, reply in (
        (b"EHLO client.test\r\n", b""),
        (b"MAIL FROM:<a@a.test>\r\n", b"250 Ok\r\n"),
        (b"RCPT TO:<b@b.test>\r\n", b"250 Ok\r\n"),
        (b"DATA\r\n", b"354 Go on\r\n"),
    ):
        client.data_received(line)
        await asyncio.sleep(0.01)
        upstream.data_received(reply)
        await asyncio.sleep(0.01)
    assert here.written[-1] == b"354 Go on\r\n"
    yield SimpleNamespace(client=client, upstream=upstream, here=here, there=there)
    client.connection_lost(None)
    upstream.abort()


async def full_upstream(mail) -> None:
    """The end of the message comes, and waits here, for the upstream does not read."""
    mail.there.unsent = 100_000
    mail.upstream.pause_writing()
    mail.client.data_received(b"x\r\n.\r\n")
    assert not mail.here.reading
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["refused", "lost", "late"])
async def test_a_client_is_read_again_when_a_full_upstream_is_done_with_its_mail(mail, how: str):
    await full_upstream(mail)
    if how == "refused":
        mail.upstream.data_received(b"552 5.3.4 Too big\r\n")
    elif how == "lost":
        mail.upstream.connection_lost(ConnectionResetError())
    else:
        mail.upstream.expire()
    await asyncio.sleep(0.01)
    assert mail.here.written[-1].startswith(b"552" if how == "refused" else b"451")
    assert mail.here.reading
    mail.client.data_received(b"NOOP\r\n")
    await asyncio.sleep(0.01)
    assert mail.here.written[-1].startswith(b"250")


async def test_a_success_for_a_message_whose_end_has_not_left_is_a_lie(mail):
    await full_upstream(mail)
    mail.upstream.data_received(b"250 2.0.0 Ok: queued\r\n")
    await asyncio.sleep(0.01)
    assert mail.here.written[-1].startswith(b"451")


async def test_a_success_for_a_message_that_has_left_is_believed(mail):
    mail.client.data_received(b"x\r\n.\r\n")
    await asyncio.sleep(0.01)
    mail.upstream.data_received(b"250 2.0.0 Ok: queued\r\n")
    await asyncio.sleep(0.01)
    assert mail.here.written[-1] == b"250 2.0.0 Ok: queued\r\n"
    assert mail.upstream.deadline != NEVER  # it is kept, for a while
