"""The spool as an operator sees and changes it, while relays work with it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, delete, func, select, update

from relay.retry.letter import Letter, State
from relay.retry.rows import letter_of
from relay.store import chunks, epoch, letters, recipients

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy import RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from relay.store import Store

PAGE = 500  # letters at once


class Entry(NamedTuple):
    """A letter, and how things stand with it; `due_in` and `leased` in seconds from now."""

    letter: Letter
    state: State
    due_in: float
    owner: str | None  # the relay that is delivering it


class Queue:
    """Every letter of the database, pending ones excepted: those are promised to nobody yet."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def entries(self, *ids: str, state: State | None = None) -> AsyncIterator[Entry]:
        """The letters named, or all, in the order they came."""
        last = ""
        while page := await self._page(_chosen(ids, state), last):
            for entry in page:
                yield entry
            last = page[-1].letter.id

    async def count(self, *ids: str, state: State | None = None) -> int:
        """How many letters these are."""
        async with self._store.read.begin() as connection:
            counted = select(func.count()).select_from(letters).where(*_chosen(ids, state))
            return (await connection.execute(counted)).scalar_one()

    async def retry(self, ids: Sequence[str]) -> int:
        """Let these be tried now, whatever the schedule says of them or of the upstream; how many there were."""
        return await self._change(ids, {"state": State.QUEUED.value, "due": 0.0})

    async def hold(self, ids: Sequence[str]) -> int:
        """Let these wait until they are released."""
        return await self._change(ids, {"state": State.HELD.value})

    async def release(self, ids: Sequence[str]) -> int:
        """Let these go their way again."""
        return await self._change(ids, {"state": State.QUEUED.value})

    async def drop(self, ids: Sequence[str]) -> int:
        """Forget these; nobody is told."""
        async with self._store.write.begin() as connection:
            await connection.execute(delete(chunks).where(chunks.c.letter.in_(ids)))
            await connection.execute(delete(recipients).where(recipients.c.letter.in_(ids)))
            return (await connection.execute(delete(letters).where(letters.c.id.in_(ids)))).rowcount

    async def _change(self, ids: Sequence[str], values: dict[str, Any]) -> int:
        async with self._store.write.begin() as connection:
            changed = update(letters).where(letters.c.id.in_(ids), _not_pending()).values(values)
            return (await connection.execute(changed)).rowcount

    async def _page(self, chosen: list[ColumnElement[bool]], last: str) -> list[Entry]:
        now = epoch()
        wanted = select(
            letters,
            (now - letters.c.created).label("age"),
            (letters.c.due - now).label("due_in"),
        ).where(letters.c.id > last, *chosen)
        async with self._store.read.begin() as connection:
            rows = (await connection.execute(wanted.order_by(letters.c.id).limit(PAGE))).mappings().all()
            return await _entries(connection, rows) if rows else []


async def _entries(connection: AsyncConnection, rows: Sequence[RowMapping]) -> list[Entry]:
    whom: defaultdict[str, list[RowMapping]] = defaultdict(list)
    named = select(recipients).where(recipients.c.letter.in_([row["id"] for row in rows]))
    for recipient in (await connection.execute(named.order_by(recipients.c.number))).mappings():
        whom[recipient["letter"]].append(recipient)
    return [
        Entry(letter_of(row, whom[row["id"]]), State(row["state"]), max(0.0, row["due_in"]), row["owner"])
        for row in rows
    ]


def _chosen(ids: Sequence[str], state: State | None) -> list[ColumnElement[bool]]:
    chosen = [_not_pending()]
    if ids:
        chosen.append(letters.c.id.in_(ids))
    if state is not None:
        chosen.append(letters.c.state == state.value)
    return chosen


def _not_pending() -> ColumnElement[bool]:
    return letters.c.state != State.PENDING.value
