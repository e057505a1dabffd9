"""Letters in the database, on SQLite and PostgreSQL: what is told to be on the disk is there, and nobody else's."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from relay.config.database import DatabaseURL, database_url
from relay.retry.letter import Kind, Letter, Recipient, State, new_id
from relay.retry.queue import Queue
from relay.retry.spool import Body, Settlement, Spool
from relay.retry.together import Together
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.smtp.command import Path as MailPath
from relay.store import StoreError, epoch, letters, open_store
from relay.store.tables import metadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from relay.store import Store

LATER = Reply(Phase.RCPT, 450, (b"4.2.0 Greylisted \xff", b"4.2.0 later"))
OCTETS = b"Subject: x\r\n\r\n..\r\n.\r\n"


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    opened = await open_store(database_url(database))
    yield opened
    await opened.close()


@pytest.fixture
def spool(store: Store) -> Spool:
    return Spool(store, "me", 60)


def letter(*addresses: bytes, kind: Kind = Kind.MAIL, said: Reply = LATER) -> Letter:
    named = tuple(Recipient(n, MailPath(b"<%s>" % each, b" NOTIFY=NEVER"), said) for n, each in enumerate(addresses))
    return Letter(new_id(), kind, MailPath(b"<a@a.test>", b" RET=HDRS"), len(OCTETS), named)


async def added(spool: Spool, *addresses: bytes, state: State = State.QUEUED, wait: float = 0.0) -> Letter:
    fresh = letter(*(addresses or (b"b@b.test",)))
    await spool.add(fresh, Body(len(OCTETS), lambda: [OCTETS]), state=state, wait=wait)
    return fresh


async def octets(spool: Spool, letter: Letter) -> bytes:
    return b"".join([piece async for piece in spool.octets(letter._replace(octets=None))])


async def test_a_letter_comes_out_as_it_went_in(spool: Spool):
    fresh = await added(spool, b"b@b.test", b"c\xc3\xa4@b.test")
    (found,) = await spool.claim(5)
    assert found._replace(age=0.0, octets=None) == fresh
    assert found.octets == OCTETS
    assert 0 <= found.age < 30
    assert await octets(spool, found) == OCTETS


async def test_a_fault_is_kept_as_such(spool: Spool):
    fresh = letter(b"b@b.test", said=reply_for(Fault.REFUSED, Phase.CONNECT, "mx.test:25"))
    await spool.add(fresh, Body(0, list), state=State.QUEUED, wait=0)
    (found,) = await spool.claim(1)
    assert found.recipients == fresh.recipients


async def test_where_no_transaction_begins_none_waits_for_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A database that is locked for long makes all wait once, not one after the other."""
    monkeypatch.setattr("relay.store.engine._SQLITE", ("busy_timeout=500",))
    place = tmp_path / "spool.db"
    store = await open_store(DatabaseURL(file=place))
    spool = Spool(store, "me", 60)
    await added(spool)
    other = sqlite3.connect(place, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    ends = await asyncio.gather(*(added(spool) for _ in range(20)), return_exceptions=True)
    assert time.monotonic() - begun < 5  # 20 times half a second, one by one
    assert all(isinstance(each, OperationalError) for each in ends)
    other.close()
    await added(spool)
    assert len(await spool.claim(25)) == 2
    await store.close()


async def test_nothing_is_written_into_a_file_that_was_removed_or_replaced(tmp_path: Path):
    """Who told 250 for it would have lost the mail: at the next start nobody finds that file."""
    place, aside = tmp_path / "spool.db", tmp_path / "aside.db"
    store = await open_store(DatabaseURL(file=place))
    spool = Spool(store, "me", 60)
    await added(spool)
    place.rename(aside)
    with pytest.raises(OSError, match="removed or replaced"):
        await added(spool)
    for each in ("", "-wal", "-shm"):
        place.with_name(f"spool.db{each}").unlink(missing_ok=True)
    aside.rename(place)
    await added(spool)
    assert len(await spool.claim(5)) == 2
    await store.close()


async def test_only_what_is_due_and_promised_is_taken_out(spool: Spool):
    await added(spool, wait=50)
    pending = await added(spool, state=State.PENDING)
    await added(spool, state=State.HELD)
    assert await spool.claim(5) == ()
    await spool.promise(pending.id)
    assert [each.id for each in await spool.claim(5)] == [pending.id]


async def test_what_is_not_there_is_not_promised(spool: Spool):
    with pytest.raises(OSError, match="swept away"):
        await spool.promise("0000000000000000")


async def test_no_two_relays_take_out_the_same_letter(spool: Spool, store: Store):
    ids = {(await added(spool)).id for _ in range(30)}
    others = [Spool(store, f"relay {number}", 60) for number in range(4)]
    taken = await asyncio.gather(*(other.claim(9) for other in others * 2))
    found = [each.id for letters_ in taken for each in letters_]
    assert len(found) == len(set(found)) == 30
    assert set(found) == ids


async def test_a_lease_that_ended_is_taken_over_and_the_late_one_writes_nothing(store: Store):
    slow, other = Spool(store, "slow", 60), Spool(store, "other", 60)
    await added(slow)
    (mine,) = await slow.claim(1)
    assert not mine.taken_over
    assert await other.claim(1) == ()
    await end_leases(store)
    (theirs,) = await other.claim(1)
    assert theirs.taken_over
    await slow.settle(mine, Settlement((), (), mine.recipients, wait=999))
    await slow.give_back([mine.id])
    assert await slow.claim(1) == ()
    await other.give_back([mine.id])
    assert len(await slow.claim(1)) == 1


async def test_a_lease_that_is_prolonged_is_not_taken_over(store: Store):
    slow, other = Spool(store, "slow", 60), Spool(store, "other", 60)
    await added(slow)
    (mine,) = await slow.claim(1)
    await end_leases(store)
    await slow.keep_claim([mine.id])
    assert await other.claim(1) == ()


async def end_leases(store: Store) -> None:
    async with store.write.begin() as connection:
        await connection.execute(update(letters).values(lease=epoch() - 1))


async def test_what_is_delivered_is_gone_and_what_is_late_comes_again(spool: Spool):
    await added(spool, b"b@b.test", b"c@b.test", b"d@b.test")
    (taken,) = await spool.claim(1)
    again = Reply(Phase.RCPT, 451, (b"4.3.0 Still",))
    remaining = (taken.recipients[1]._replace(said=again),)
    await spool.settle(taken, Settlement(delivered=(0,), given_up=(2,), remaining=remaining))
    (left,) = await spool.claim(1)
    assert left.recipients == remaining
    assert left.attempts == 1
    await spool.settle(left, Settlement((1,), (), ()))
    assert await spool.claim(1) == ()
    assert await spool.usage() == (0, 0)
    assert await octets(spool, taken) == b""


async def test_a_bounce_is_written_with_the_end_of_its_cause_in_one_piece(spool: Spool):
    await added(spool)
    (taken,) = await spool.claim(1)
    bounce = letter(b"a@a.test", kind=Kind.BOUNCE)
    await spool.settle(taken, Settlement((), (0,), (), own=((bounce, OCTETS),)))
    (found,) = await spool.claim(5)
    assert (found.id, found.kind) == (bounce.id, Kind.BOUNCE)
    assert await octets(spool, bounce) == OCTETS


async def test_a_notice_is_sent_once(spool: Spool):
    await added(spool)
    (taken,) = await spool.claim(1)
    notice = letter(b"a@a.test", kind=Kind.NOTICE)
    await spool.settle(taken, Settlement((), (), taken.recipients, own=((notice, OCTETS),)))
    assert {(each.kind, each.notified) for each in await spool.claim(5)} == {(Kind.MAIL, True), (Kind.NOTICE, False)}


async def test_a_letter_that_is_held_while_it_is_delivered_stays_held(spool: Spool, store: Store):
    await added(spool)
    (taken,) = await spool.claim(1)
    await Queue(store).hold([taken.id])
    await spool.settle(taken, Settlement((), (), taken.recipients))
    assert await spool.claim(1) == ()


async def test_a_large_message_is_kept_in_pieces(spool: Spool):
    def pieces():
        for number in range(40):
            yield bytes([number]) * 300_000

    fresh = letter(b"b@b.test")
    await spool.add(fresh, Body(12_000_000, pieces), state=State.QUEUED, wait=0)
    read = [piece async for piece in spool.octets(fresh)]
    assert max(map(len, read)) <= 1 << 18
    assert b"".join(read) == b"".join(pieces())


async def test_what_was_never_promised_is_swept_away_after_a_while(spool: Spool, store: Store):
    old, young, promised = [await added(spool, state=state) for state in (State.PENDING, State.PENDING, State.QUEUED)]
    async with store.write.begin() as connection:
        aged = update(letters).where(letters.c.id.in_([old.id, promised.id])).values(created=epoch() - 7200)
        await connection.execute(aged)
    assert await spool.sweep() == 1
    assert (await spool.usage())[0] == 2
    await spool.promise(young.id)
    assert len(await spool.claim(5)) == 2


async def test_old_letters_can_be_taken_out_before_they_are_due(spool: Spool, store: Store):
    await added(spool, wait=999)
    assert await spool.claim(5, older_than=100) == ()
    async with store.write.begin() as connection:
        await connection.execute(update(letters).values(created=epoch() - 101))
    assert len(await spool.claim(5, older_than=100)) == 1


async def test_the_operator_s_commands(spool: Spool, store: Store):
    queue = Queue(store)
    first, second = await added(spool, wait=99), await added(spool, state=State.PENDING)
    assert [each.letter.id async for each in queue.entries()] == [first.id]
    assert await queue.retry([first.id, second.id]) == 1
    assert len(await spool.claim(1, urgent=True)) == 1
    (entry,) = [each async for each in queue.entries(first.id)]
    assert (entry.state, entry.owner) == (State.QUEUED, "me")
    assert await queue.hold([first.id]) == await queue.release([first.id]) == await queue.drop([first.id]) == 1
    assert await queue.count() == 0


async def test_of_many_written_together_one_that_fails_takes_no_other_along(store: Store):
    together = Together(store)
    statement = insert(letters)
    row = {
        "kind": "mail", "state": "queued", "sender": b"", "parameters": b"", "size": 0, "created": 0.0, "due": 0.0,
        "attempts": 0, "notified": False,
    }  # fmt: skip
    writes = [together.write((statement, [row | {"id": each}])) for each in ("a", "b", "a", "c")]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), type(None), IntegrityError, type(None)]
    async with store.read.begin() as connection:
        found = (await connection.execute(text("SELECT id FROM letter ORDER BY id"))).scalars().all()
    assert found == ["a", "b", "c"]


async def test_the_migrations_make_the_tables_that_the_code_knows(store: Store):
    def differences(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    async with store.write.begin() as connection:
        assert await connection.run_sync(differences) == []


async def test_relays_that_start_at_once_migrate_once(database: str):
    opened = await asyncio.gather(*(open_store(database_url(database)) for _ in range(5)))
    for each in opened:
        await each.close()


async def test_a_database_that_cannot_be_used_is_named_without_its_password(tmp_path: Path):
    (tmp_path / "spool.db").write_bytes(b"no database at all, but long enough to be taken for one" * 99)
    with pytest.raises(StoreError, match=r"the database sqlite:///.*spool.db cannot be used: file is not a database"):
        await open_store(DatabaseURL(file=tmp_path / "spool.db"))
    with pytest.raises(StoreError) as refused:
        await open_store(database_url("postgresql://anna:S3CRET@127.0.0.1:1/mail"))
    assert "S3CRET" not in str(refused.value)
    assert "postgresql://anna:***@127.0.0.1:1/mail" in str(refused.value)


def test_ids_sort_by_time():
    assert min(ids := [new_id() for _ in range(3)])[:9] == ids[0][:9]
    assert {len(each) for each in ids} == {16}


async def test_a_large_message_stays_whole_where_another_of_its_group_cannot_be_kept(spool: Spool):
    large = [bytes([number]) * 300_000 for number in range(8)]
    fresh = [letter(b"b@b.test") for _ in range(3)]
    whole, short = Body(2_400_000, lambda: iter(large)), Body(2_400_001, lambda: iter(large))
    kept = [
        spool.add(each, body, state=State.QUEUED, wait=0)
        for each, body in zip(fresh, (whole, short, whole), strict=True)
    ]
    first, second, third = await asyncio.gather(*kept, return_exceptions=True)
    assert first is third is None
    assert isinstance(second, OSError)
    assert {each.id for each in await spool.claim(9)} == {fresh[0].id, fresh[2].id}
    for each in (fresh[0], fresh[2]):
        assert await octets(spool, each) == b"".join(large)


async def test_a_letter_that_was_dropped_or_held_is_ours_no_longer(spool: Spool, store: Store):
    await added(spool), await added(spool), await added(spool)
    dropped, held, kept = await spool.claim(3)
    await Queue(store).hold([held.id])
    await spool.drop(dropped.id)
    assert [await spool.is_ours(each.id) for each in (dropped, held, kept)] == [False, False, True]
