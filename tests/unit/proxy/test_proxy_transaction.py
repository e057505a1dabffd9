"""A mail between two wires that do what no test can make the real ones do: writes that wait at a chosen moment."""

from __future__ import annotations

import asyncio
import os
import time
from itertools import pairwise
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
from relay.smtp.capabilities import Capabilities
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
async def world(tmp_path):
    """A client that has greeted, and the two ends."""
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
    client.data_received(b"EHLO client.test\r\n")
    yield SimpleNamespace(client=client, upstream=upstream, here=here, there=there)
    client.connection_lost(None)
    upstream.abort()


@pytest.fixture
async def mail(world):
    """A mail whose DATA the upstream has agreed to."""
    for line, reply in (
        (b"MAIL FROM:<a@a.test>\r\n", b"250 Ok\r\n"),
        (b"RCPT TO:<b@b.test>\r\n", b"250 Ok\r\n"),
        (b"DATA\r\n", b"354 Go on\r\n"),
    ):
        world.client.data_received(line)
        await asyncio.sleep(0.01)
        world.upstream.data_received(reply)
        await asyncio.sleep(0.01)
    assert world.here.written[-1] == b"354 Go on\r\n"
    return world


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


REFUSALS = b"".join(b"550 5.1.1 no %d\r\n" % number for number in range(99))


async def a_group(world) -> int:
    """A client names 300 recipients in one breath; how many are passed on."""
    world.upstream.capabilities = Capabilities.of_ehlo((b"upstream.test", b"PIPELINING"))
    world.client.data_received(b"MAIL FROM:<a@a.test>\r\n" + b"RCPT TO:<b@b.test>\r\n" * 300)
    await asyncio.sleep(0.05)
    return b"".join(world.there.written).count(b"RCPT")


async def test_no_more_commands_are_under_way_than_may_be_answered_at_once(world):
    assert await a_group(world) == 99
    world.upstream.data_received(b"250 Ok\r\n" + b"250 Ok\r\n" * 40)
    await asyncio.sleep(0.05)
    assert b"".join(world.there.written).count(b"RCPT") == 99 + 41


async def test_a_burst_of_refusals_lets_others_have_their_turn(world):
    await a_group(world)
    loop = asyncio.get_running_loop()
    turns = []

    def turn() -> None:
        turns.append(len(world.upstream.pending))
        if world.upstream.pending:
            loop.call_soon(turn)

    loop.call_soon(turn)
    world.upstream.data_received(b"250 Ok\r\n" + REFUSALS)
    await asyncio.sleep(0.2)
    assert max(before - after for before, after in pairwise(turns)) <= 10


async def test_a_success_read_together_with_354_is_no_verdict_however_late_its_turn_comes(world):
    for _ in range(6):  # rounds that others fill
        world.upstream._deadlines.in_turn(lambda: time.sleep(0.025))
    world.upstream.capabilities = Capabilities.of_ehlo((b"upstream.test", b"PIPELINING"))
    group = b"MAIL FROM:<a@a.test>\r\n" + b"RCPT TO:<b@b.test>\r\n" * 3 + b"DATA\r\n"
    world.client.data_received(group + b"x\r\n.\r\n")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    world.upstream.data_received(b"250 Ok\r\n" * 4 + b"354 Go on\r\n" + b"250 2.0.0 Ok: queued\r\n")
    await asyncio.sleep(0.3)
    told = b"".join(world.here.written)
    assert b"queued" not in told
    assert b"\r\n451 " in told


async def test_a_reply_begun_before_its_command_is_said_is_not_believed_while_others_wait_for_their_turn(world):
    world.upstream.capabilities = Capabilities.of_ehlo((b"upstream.test", b"PIPELINING"))
    world.client.data_received(b"MAIL FROM:<a@a.test>\r\n" + b"RCPT TO:<b@b.test>\r\n" * 2)
    await asyncio.sleep(0.01)
    world.upstream.data_received(b"250 Ok\r\n")
    await asyncio.sleep(0.01)
    world.client.data_received(b"RCPT TO:<third@b.test>\r\n")
    world.upstream.data_received(b"550 5.1.1 b\r\n250 c\r\n250 beg")
    await asyncio.sleep(0.01)
    world.upstream.data_received(b"un too early\r\n")
    await asyncio.sleep(0.01)
    assert b"begun too early" not in b"".join(world.here.written)
    assert world.upstream.dead


@pytest.mark.parametrize("end", ["eof", "reset"])
async def test_what_an_upstream_said_before_it_closed_is_heard(world, end: str):
    await a_group(world)
    world.upstream.data_received(b"250 Ok\r\n" + REFUSALS)
    world.upstream.eof_received() if end == "eof" else world.upstream.connection_lost(ConnectionResetError())
    await asyncio.sleep(0.2)
    told = b"".join(world.here.written)
    assert b"no 0" in told and b"no 98" in told


async def test_a_success_that_was_said_before_all_could_be_written_is_not_believed(mail):
    mail.client.data_received(b"x\r\n.\r\n")
    await asyncio.sleep(0.01)
    unread, said = os.pipe()
    os.write(said, b"250 2.0.0 Ok: queued\r\n")
    mail.upstream._below._descriptor = unread
    mail.upstream.connection_lost(BrokenPipeError())
    await asyncio.sleep(0.01)
    os.close(said)
    os.close(unread)
    assert mail.here.written[-1].startswith(b"451")
