"""The worker's own decisions, apart from the wire: what it does when the database does not take its word."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from relay.config import Security
from relay.config.database import DatabaseURL
from relay.deadlines import Deadlines
from relay.retry.claims import Claims, LeaseLostError
from relay.retry.delivery import _sender
from relay.retry.letter import Kind, Letter, Recipient, State, new_id
from relay.retry.schedule import Plan
from relay.retry.spool import Body, Settlement, Spool
from relay.retry.worker import Worker
from relay.smtp import Phase, Reply
from relay.smtp.capabilities import Capabilities
from relay.smtp.command import Path as MailPath
from relay.store import letters, open_store, recipients
from relay.upstream.connection import Connection
from relay.upstream.pool import Keeping, Pool
from relay.upstream.server import Server, Waits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from retry_upstream import Upstream

OK = Reply(Phase.MESSAGE, 250, (b"2.0.0 Queued",))
LETTER = Letter(
    new_id(), Kind.MAIL, MailPath(b"<a@a.test>"), 5, (Recipient(0, MailPath(b"<b@b.test>"), Reply(Phase.RCPT, 450)),)
)


class Stubborn(Spool):
    """Fails so many times to write down what became of a letter."""

    failures = 0

    async def settle(self, letter: Letter, result: Settlement) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("the database is being started anew")
        await super().settle(letter, result)


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Stubborn]:
    store = await open_store(DatabaseURL(file=tmp_path / "spool.db"))
    yield Stubborn(store, "me", 60)
    await store.close()


async def test_it_insists_on_writing_down_what_was_delivered(spool: Stubborn, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("relay.retry.insist._PAUSES_SECONDS", (0.0, 0.0, 0.0))
    told: list[str] = []
    journal = SimpleNamespace(spooled=lambda event, *_: told.append(event))
    tools: Any = SimpleNamespace(journal=journal, plan=Plan(60, 60, 60, None), concurrency=1)
    await spool.add(LETTER, Body(6, lambda: [b"x\r\n.\r\n"]), state=State.QUEUED, wait=0)
    (taken,) = await spool.claim(1)
    spool.failures = 9  # however often: a disk may be full for hours
    await Worker(spool, tools, 60)._settle(taken, {0: OK})
    assert await spool.usage() == (0, 0)
    assert told == ["spool_delivered"]


def test_our_own_letters_use_only_what_the_upstream_knows():
    ours = LETTER._replace(kind=Kind.BOUNCE, sender=MailPath(b"<>", b" BODY=8BITMIME SMTPUTF8"))
    assert _sender(ours, Capabilities({b"8BITMIME": b""})) == b"<> BODY=8BITMIME"
    assert _sender(ours, Capabilities({})) == b"<>"
    theirs = LETTER._replace(sender=MailPath(b"<a@a.test>", b" SIZE=1 BODY=8BITMIME"))
    assert _sender(theirs, Capabilities({})) == b"<a@a.test> BODY=8BITMIME"  # SIZE is a hint, and only that
    assert _sender(theirs, Capabilities({b"SIZE": b""})) == b"<a@a.test> SIZE=1 BODY=8BITMIME"


async def test_a_bounce_that_was_never_tried_does_not_count_as_delivered(spool: Stubborn):
    told: list[str] = []
    journal = SimpleNamespace(spooled=lambda event, *_: told.append(event))
    pool = SimpleNamespace(server=SimpleNamespace(name="mx.test:25"))
    tools: Any = SimpleNamespace(journal=journal, plan=Plan(60, 60, 60, None), concurrency=1, pool=pool)
    untried = LETTER.recipients[0]._replace(said=OK)
    bounce = LETTER._replace(kind=Kind.BOUNCE, sender=MailPath(b"<>"), recipients=(untried,))
    await spool.add(bounce, Body(6, lambda: [b"x\r\n.\r\n"]), state=State.QUEUED, wait=0)
    (taken,) = await spool.claim(1)
    await Worker(spool, tools, 60)._give_up(taken._replace(age=100.0))
    assert (await spool.usage())[0] == 1
    assert "spool_stuck" in told
    assert "spool_delivered" not in told


async def test_what_was_delivered_is_written_down_though_no_bounce_can_be_written(spool: Stubborn):
    class Speechless:
        async def write(self, *_: object, **__: object) -> None:
            raise LookupError("a header that nobody can read")

    journal = SimpleNamespace(spooled=lambda *_: None)
    tools: Any = SimpleNamespace(journal=journal, plan=Plan(60, 60, 60, None), concurrency=1, writer=Speechless())
    good, bad = (Recipient(number, MailPath(b"<r%d@b.test>" % number), OK) for number in range(2))
    await spool.add(
        LETTER._replace(recipients=(good, bad)), Body(6, lambda: [b"x\r\n.\r\n"]), state=State.QUEUED, wait=0
    )
    (taken,) = await spool.claim(1)
    await Worker(spool, tools, 60)._settle(taken, {0: OK, 1: Reply(Phase.RCPT, 550, (b"5.1.1 unknown",))})
    left = await spool._read(select(recipients.c.number))
    assert [row.number for row in left] == [1]


async def test_a_kept_connection_that_is_dead_is_replaced_by_a_new_one_however_many_are_kept(
    spool: Stubborn, upstream: Upstream
):
    told: list[str] = []
    deadlines = Deadlines(asyncio.get_running_loop())
    server = Server("127.0.0.1", upstream.port, Security.PLAIN, Waits(5, 5, dict.fromkeys(Phase, 5.0)))
    pool = Pool(server, Keeping(idle=5, idle_seconds=30, messages=100), deadlines)
    for kept in [await pool.open(new=True) for _ in range(4)]:
        assert isinstance(kept, Connection)
        kept.messages = 1  # only one that has carried a mail can have waited too long for the next
        pool.give_back(kept)
    upstream.weary = upstream.connections
    journal = SimpleNamespace(spooled=lambda event, *_: told.append(event))
    tools: Any = SimpleNamespace(journal=journal, plan=Plan(60, 60, 60, None), concurrency=1, pool=pool)
    await spool.add(LETTER._replace(size=6), Body(6, lambda: [b"x\r\n.\r\n"]), state=State.QUEUED, wait=0)
    worker = Worker(spool, tools, 60)
    await worker._take()
    while worker._claims:  # noqa: ASYNC110 -- nothing tells
        await asyncio.sleep(0.01)
    pool.close()
    await pool.wait_closed()
    assert (upstream.reached(), upstream.connections, told) == ([b"<b@b.test>"], 5, ["spool_delivered"])


async def claimed(spool: Spool, count: int) -> tuple[Letter, ...]:
    for _ in range(count):
        letter = LETTER._replace(id=new_id(), size=6)
        await spool.add(letter, Body(6, lambda: [b"x\r\n.\r\n"]), state=State.QUEUED, wait=0)
    return await spool.claim(count)


@pytest.fixture
async def claims(spool: Stubborn) -> AsyncIterator[Claims]:
    claims = Claims(spool, 60)
    yield claims
    await claims.end(0)


def nothing() -> None:
    """Whoever wants to know that a letter is done."""


async def test_a_letter_that_another_relay_has_taken_over_is_not_sent(spool: Stubborn, claims: Claims):
    mine, taken = await claimed(spool, 2)
    for letter in (mine, taken):
        claims.begin(letter.id, asyncio.sleep(60), nothing)
    await spool._store.whole(_owned_by_another(spool, taken.id))
    await claims.prolong()
    claims.before_dot(mine.id)
    with pytest.raises(LeaseLostError):
        claims.before_dot(taken.id)


async def test_nothing_is_sent_when_leases_were_not_prolonged_in_time(spool: Stubborn):
    (letter,) = await claimed(spool, 1)
    claims = Claims(spool, 0.0)
    claims.begin(letter.id, asyncio.sleep(60), nothing)
    with pytest.raises(LeaseLostError):
        claims.before_dot(letter.id)
    await claims.end(0)


async def test_a_letter_that_was_settled_while_its_lease_was_prolonged_can_be_sent_the_next_time(
    spool: Stubborn, claims: Claims
):
    (letter,) = await claimed(spool, 1)
    settled = asyncio.Event()
    claims.begin(letter.id, settled.wait(), nothing)  # type: ignore[arg-type]
    await spool.give_back([letter.id])
    keeping = asyncio.create_task(claims.prolong())
    await asyncio.sleep(0)
    settled.set()
    while letter.id in claims:  # noqa: ASYNC110 -- its task is about to end
        await asyncio.sleep(0)
    claims.begin(letter.id, asyncio.sleep(60), nothing)
    await keeping
    claims.before_dot(letter.id)


async def _owned_by_another(spool: Spool, letter_id: str) -> None:
    async with spool._store.write.begin() as connection:
        await connection.execute(update(letters).where(letters.c.id == letter_id).values(owner="another"))


async def test_a_letter_whose_verdict_is_awaited_at_the_stop_is_not_given_back(spool: Stubborn, claims: Claims):
    """Whoever takes it over when the lease has ended will say that nobody knows whether it was sent."""
    before, behind = await claimed(spool, 2)
    for letter in (before, behind):
        claims.begin(letter.id, asyncio.sleep(60), nothing)
    claims.before_dot(behind.id)
    assert await claims.end(0.01) == {before.id}
    assert len(claims) == 0


async def test_a_reload_lets_more_letters_be_delivered_at_once(spool: Stubborn):
    pool = SimpleNamespace(close=lambda: None)
    worker = Worker(spool, SimpleNamespace(concurrency=1, pool=pool), 60)
    await worker._places.acquire()
    assert worker._places.locked()
    worker.renew(SimpleNamespace(concurrency=2, pool=pool))
    assert not worker._places.locked()
