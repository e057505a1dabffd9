"""Which connections are kept, for whom, and which are let go."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from itertools import pairwise

import pytest

from relay.config import Security
from relay.deadlines import Deadlines
from relay.practice import start
from relay.smtp import Phase, Reply
from relay.smtp.capabilities import Capabilities
from relay.upstream.connection import Connection
from relay.upstream.pool import Keeping, Pool
from relay.upstream.server import Login, Server, Waits

WAITS = Waits(connect=5, tls=5, replies=dict.fromkeys(Phase, 5.0))
KEEPING = Keeping(idle=2, idle_seconds=30, messages=100)


@pytest.fixture
async def server():
    practice = await start()
    host, port = practice.address
    yield Server(host, port, Security.PLAIN, WAITS)
    await practice.close()


@pytest.fixture
async def pool(server):
    pool = Pool(server, KEEPING, Deadlines(asyncio.get_running_loop()))
    yield pool
    pool.close()
    await pool.wait_closed()


async def opened(pool: Pool) -> Connection:
    connection = await pool.open()
    assert isinstance(connection, Connection)
    return connection


async def test_a_connection_given_back_is_taken_again(pool):
    first = await opened(pool)
    pool.give_back(first)
    assert await opened(pool) is first


async def test_one_that_carried_a_login_is_never_given_to_another(pool):
    first = await opened(pool)
    first.private = True
    pool.give_back(first)
    assert pool.take() is None


async def test_one_opened_before_a_reload_does_not_lead_mail_to_the_old_upstream(pool, server):
    renewed = Pool(replace(server), KEEPING, Deadlines(asyncio.get_running_loop()))
    old = await opened(pool)
    renewed.give_back(old)
    assert renewed.take() is None


async def test_no_more_are_kept_than_the_setting_says(pool):
    taken = [await opened(pool) for _ in range(4)]
    for connection in taken:
        pool.give_back(connection)
    assert [pool.take() is not None for _ in range(3)] == [True, True, False]


async def test_one_that_has_collected_refusals_is_not_kept(pool):
    connection = await opened(pool)
    for _ in range(5):
        assert (await connection.ask(b"RCPT TO:<x@example.com>", Phase.RCPT)).code == 503
    pool.give_back(connection)
    assert pool.take() is None


async def test_one_that_has_carried_as_many_mails_as_the_server_takes_is_not_kept(pool):
    connection = await opened(pool)
    connection.capabilities = Capabilities.of_ehlo((b"up.test", b"LIMITS MAILMAX=2"))
    connection.messages = 1
    pool.give_back(connection)
    assert await opened(pool) is connection
    connection.messages = 2
    pool.give_back(connection)
    assert pool.take() is None


async def test_one_with_something_unread_is_not_trusted(pool):
    connection = await opened(pool)
    pool.give_back(connection)
    connection.transport.get_extra_info("socket")  # it stays open; the stray reply is provoked by an unasked command
    connection.transport.write(b"NOOP\r\n")
    await asyncio.sleep(0.1)
    assert pool.take() is None


async def test_who_speaks_at_once_gets_none_with_something_unread(pool):
    mine, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()
    kept = Connection(pool.server, Deadlines(loop), loop)
    await loop.create_connection(lambda: kept, sock=mine)
    kept.data_received(b"220 upstream.example ESMTP\r\n")
    pool.give_back(kept)
    theirs.send(b"250 2.0.0 Nobody asked\r\n")  # the loop has not read it: nothing is awaited before `open` looks
    assert await opened(pool) is not kept
    assert kept.dead
    theirs.close()


async def test_a_dead_upstream_is_a_reply_not_an_exception():
    port = await _free_port()
    pool = Pool(Server("127.0.0.1", port, Security.PLAIN, WAITS), KEEPING, Deadlines(asyncio.get_running_loop()))
    reply = await pool.open()
    assert isinstance(reply, Reply)
    assert (reply.code, reply.status, reply.fault) == (451, "4.4.1", "refused")


async def test_many_that_look_at_once_cause_one_connection(pool):
    offers = await asyncio.gather(*(pool.look(5) for _ in range(50)))
    assert all(b"SIZE" in offered for offered in offers)
    assert pool.take() is not None
    assert pool.take() is None


async def test_a_login_that_was_refused_is_not_tried_again_at_once():
    """Not by the mail that follows the EHLO for which it was tried first: the account would be locked the sooner."""
    logins = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal logins
        writer.write(b"220 x\r\n")
        async for line in reader:
            logins += line.startswith(b"AUTH")
            greeted = line.startswith(b"EHLO")
            writer.write(b"250-x\r\n250 AUTH PLAIN\r\n" if greeted else b"535 5.7.8 Wrong password\r\n")
            if line.startswith(b"QUIT"):
                break
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        server = Server("127.0.0.1", port, Security.PLAIN, WAITS, login=Login("anna", "hunter2-secret"))
        pool = Pool(server, KEEPING, Deadlines(asyncio.get_running_loop()))
        await pool.look(5)
        replies = [await pool.open(), await pool.open(new=True)]
        await asyncio.sleep(0.05)  # until all have taken their leave
    assert [reply.text for reply in replies if isinstance(reply, Reply)] == ["Wrong password"] * 2
    assert logins == 1


@pytest.mark.parametrize("mechanism", ["plain", "cram-md5"])
async def test_a_login_that_the_relay_itself_cancels_was_refused_by_nobody(mechanism: str):
    """An upstream that asks what nobody can answer has not looked at the password."""

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        async for line in reader:
            replies = {b"EHLO": b"250 AUTH PLAIN CRAM-MD5\r\n", b"AUTH": b"334 a\r\n", b"*\r\n": b"501 Cancelled\r\n"}
            writer.write(replies.get(line[:4].rstrip() if line != b"*\r\n" else line, b"221 x\r\n"))
            if line.startswith(b"QUIT"):
                break
        writer.close()

    async with await asyncio.start_server(ask, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        login = Login("anna", "hunter2-secret", mechanism)
        server = Server("127.0.0.1", port, Security.PLAIN, WAITS, login=login)
        reply = await Pool(server, KEEPING, Deadlines(asyncio.get_running_loop())).open()
        await asyncio.sleep(0.05)  # until it has taken its leave
    assert isinstance(reply, Reply)
    assert (reply.code, reply.fault) == (451, "garbled")


async def test_warm_connections_stand_ready_before_anybody_needs_them(server):
    pool = Pool(server, Keeping(idle=4, idle_seconds=30, messages=100, warm=2), Deadlines(asyncio.get_running_loop()))
    pool.warm_up()
    async with asyncio.timeout(5):
        while (first := pool.take()) is None or (second := pool.take()) is None:  # noqa: ASYNC110 -- nothing tells
            await asyncio.sleep(0.01)
    assert first is not second
    pool.close()
    for connection in (first, second):
        pool.give_back(connection)
    await pool.wait_closed()


@pytest.mark.parametrize("end", [b"", b"421 4.3.2 Too busy\r\n"])
async def test_an_upstream_that_closes_what_was_opened_ahead_is_not_asked_over_and_over(monkeypatch, end: bytes):
    monkeypatch.setattr("relay.upstream.pool._WARM_PAUSE_SECONDS", 0.4)
    loop = asyncio.get_running_loop()
    begun: list[float] = []

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.append(loop.time())
        writer.write(b"220 up ESMTP\r\n")
        await reader.readline()
        writer.write(b"250 up\r\n" + end)
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as closing:
        server = Server("127.0.0.1", closing.sockets[0].getsockname()[1], Security.PLAIN, WAITS)
        pool = Pool(server, KEEPING._replace(warm=1), Deadlines(loop))
        pool.warm_up()
        await asyncio.sleep(1.0)
        pool.close()
        await pool.wait_closed()
    assert 1 <= len(begun) <= 3
    assert all(later - earlier > 0.3 for earlier, later in pairwise(begun))


def test_a_password_goes_in_clear_only_to_this_machine():
    assert Server("127.0.0.1", 25, Security.PLAIN, WAITS).protects_logins
    assert not Server("mail.example.com", 25, Security.PLAIN, WAITS).protects_logins
    assert Server("mail.example.com", 587, Security.STARTTLS, WAITS).protects_logins


def test_the_password_is_in_no_repr():
    server = Server("mail.example.com", 587, Security.STARTTLS, WAITS, login=Login("anna", "hunter2-secret"))
    assert "hunter2" not in repr(server)


async def _free_port() -> int:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port
