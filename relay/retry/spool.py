"""Letters, safe on the disk: taken in, taken out under a lease, settled. What returns from here is committed."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Boolean, Float, String, bindparam, case, delete, func, insert, or_, select, update

from relay.retry.letter import Kind, Letter, Recipient, State
from relay.retry.rows import letter_of, letter_row, recipient_rows, said_row
from relay.retry.together import Together
from relay.store import chunks, epoch, letters, recipients

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from relay.store import Store

CHUNK_OCTETS = 1 << 18
_SMALL_OCTETS = 4 * CHUNK_OCTETS  # a larger message is written piece by piece, not together with others
_FEW_OCTETS = 1 << 16  # so small a message comes with its letter: one question to the database for many of them
_PENDING_SECONDS = 3600.0  # a letter that nobody promised, or dropped, within this time: its relay was killed

_ADD_LETTER = insert(letters).values(
    created=epoch(),
    due=epoch() + bindparam("wait", type_=Float),
    attempts=0,
    notified=False,
)
_ADD_RECIPIENT = insert(recipients)
_ADD_CHUNK = insert(chunks)
_MINE = letters.c.owner == bindparam("me")
_DROP_CHUNKS = delete(chunks).where(chunks.c.letter == bindparam("gone"))
_DROP_RECIPIENTS = delete(recipients).where(recipients.c.letter == bindparam("gone"))
_DROP_LETTER = delete(letters).where(letters.c.id == bindparam("gone"))
_PROMISE = (
    update(letters)
    .where(letters.c.id == bindparam("promised"))
    .values(state=State.QUEUED.value)
    .returning(letters.c.id)
)
_GIVE_BACK = (
    update(letters)
    .where(letters.c.id == bindparam("back"), _MINE)
    .values(owner=None, lease=None, due=epoch() + bindparam("wait", type_=Float))
)
_TRIED = (
    update(letters)
    .where(letters.c.id == bindparam("tried"), _MINE)
    .values(
        owner=None,
        lease=None,
        state=case((letters.c.state == State.HELD.value, State.HELD.value), else_=bindparam("then", type_=String)),
        attempts=letters.c.attempts + 1,
        notified=or_(letters.c.notified, bindparam("told", type_=Boolean)),
        due=epoch() + bindparam("wait", type_=Float),
    )
    .returning(letters.c.id)
)
_SAID = (
    update(recipients)
    .where(recipients.c.letter == bindparam("tried"), recipients.c.number == bindparam("whom"))
    .values({name: bindparam(name) for name in ("phase", "code", "words", "fault")})
)
_REACHED = delete(recipients).where(recipients.c.letter == bindparam("tried"), recipients.c.number == bindparam("whom"))


class Body(NamedTuple):
    """The octets of a letter, as they go behind DATA; `pieces` begins anew each time it is called."""

    size: int
    pieces: Callable[[], Iterable[bytes]]


class Settlement(NamedTuple):
    """What became of a letter: who has it, who will not get it, what was said of the others, and what comes next.

    `own` are letters of ours that it gives rise to, a bounce or a notice, each with its octets.
    """

    delivered: tuple[int, ...]
    given_up: tuple[int, ...]
    remaining: tuple[Recipient, ...]
    wait: float = 0.0
    stuck: bool = False
    own: tuple[tuple[Letter, bytes], ...] = ()


class Spool:
    """The letters of one database, for one relay: `me` is the name it signs its leases with."""

    def __init__(self, store: Store, me: str, lease: float) -> None:
        self._store = store
        self._me = me
        self._lease = lease
        self._together = Together(store)

    async def add(self, letter: Letter, body: Body, *, state: State, wait: float) -> None:
        """Take a letter in; when this returns, it is on the disk.

        Raises:
            SQLAlchemyError, OSError: it is not.
        """
        row = (_ADD_LETTER, [letter_row(letter, state.value, wait)])
        names = (_ADD_RECIPIENT, list(recipient_rows(letter)))
        if body.size <= _SMALL_OCTETS:
            await self._together.write(row, names, (_ADD_CHUNK, list(_chunk_rows(letter.id, _whole(body)))))
            return

        async def pour(connection: AsyncConnection) -> None:
            for chunk in _chunk_rows(letter.id, _whole(body)):  # from the start: it may be the second try
                await connection.execute(_ADD_CHUNK, chunk)

        await self._together.write(row, names, work=pour)

    async def promise(self, letter_id: str) -> None:
        """A pending letter may be delivered: somebody is told 250 for it.

        Raises:
            SQLAlchemyError, OSError: that is not on the disk, or the letter is not there.
        """

        async def promise(connection: AsyncConnection) -> None:
            if (await connection.execute(_PROMISE, {"promised": letter_id})).first() is None:
                raise OSError(f"the letter {letter_id} was pending for so long that it has been swept away")

        await self._together.write(work=promise)

    async def drop(self, *ids: str) -> None:
        """Forget letters."""
        rows = [{"gone": each} for each in ids]
        await self._together.write((_DROP_CHUNKS, rows), (_DROP_RECIPIENTS, rows), (_DROP_LETTER, rows))

    async def claim(self, count: int, *, older_than: float | None = None, urgent: bool = False) -> tuple[Letter, ...]:
        """Take out what is due: it is ours until the lease ends, or until it is settled or given back.

        Args:
            count: how many at most.
            older_than: only those of such an age in seconds, whether they are due or not.
            urgent: only those an operator wants tried now.
        """
        due = letters.c.due <= epoch() if older_than is None else letters.c.created < epoch() - older_than
        chosen = (
            select(letters.c.id, letters.c.owner)
            .where(letters.c.state == State.QUEUED.value, letters.c.due <= 0.0 if urgent else due)
            .where(or_(letters.c.lease.is_(None), letters.c.lease < epoch()))
            .order_by(letters.c.due)
            .limit(count)
            .with_for_update(skip_locked=True)  # on SQLite the transaction alone has the lock for writing
        )
        return await self._store.whole(self._claim(chosen))

    async def _claim(self, chosen: Select[tuple[str, str | None]]) -> tuple[Letter, ...]:
        async with self._store.write.begin() as connection:
            owners = {row.id: row.owner for row in await connection.execute(chosen)}
            if not owners:
                return ()
            mine = update(letters).where(letters.c.id.in_(owners)).values(owner=self._me, lease=epoch() + self._lease)
            await connection.execute(mine)
            return await _read_letters(connection, owners)

    async def keep_claim(self, ids: Iterable[str]) -> set[str]:
        """Prolong the lease of letters that are still being worked on; which of them are ours still."""
        mine = (letters.c.id.in_(list(ids)), letters.c.owner == self._me)
        longer = update(letters).where(*mine).values(lease=epoch() + self._lease).returning(letters.c.id)
        ours: set[str] = set()

        async def prolong(connection: AsyncConnection) -> None:
            ours.clear()  # it may be the second try
            ours.update(row.id for row in await connection.execute(longer))

        await self._together.write(work=prolong)
        return ours

    async def is_ours(self, letter_id: str) -> bool:
        """Whether a letter that was taken out is still to be delivered by us: nobody has dropped or held it since."""
        mine = (letters.c.id == letter_id, letters.c.owner == self._me, letters.c.state == State.QUEUED.value)
        return bool(await self._read(select(letters.c.id).where(*mine)))

    async def give_back(self, ids: Iterable[str], *, wait: float = 0.0) -> None:
        """Let others (or ourselves) try letters that were taken out and not tried."""
        await self._together.write((_GIVE_BACK, [{"back": each, "me": self._me, "wait": wait} for each in ids]))

    async def settle(self, letter: Letter, result: Settlement) -> None:
        """Write down what became of a letter, and what follows from it, in one transaction.

        Where the lease was lost meanwhile, only deliveries are: the letter is another relay's now.
        """
        if not result.remaining and not result.own:
            await self.drop(letter.id)  # delivered is delivered, whoever holds the lease
            return
        await self._together.write(work=lambda connection: self._settle(connection, letter, result))

    async def _settle(self, connection: AsyncConnection, letter: Letter, result: Settlement) -> None:
        told = any(own.kind is Kind.NOTICE for own, _ in result.own)
        then = State.STUCK if result.stuck else State.QUEUED
        row = {"tried": letter.id, "me": self._me, "then": then.value, "told": told, "wait": result.wait}
        await _remove(connection, letter.id, result.delivered)  # whoever holds the lease: it is delivered
        if (await connection.execute(_TRIED, row)).first() is None:
            return
        for own, octets in result.own:
            await connection.execute(_ADD_LETTER, [letter_row(own, State.QUEUED.value, 0.0)])
            await connection.execute(_ADD_RECIPIENT, list(recipient_rows(own)))
            await connection.execute(_ADD_CHUNK, list(_chunk_rows(own.id, [octets])))
        if not result.remaining:
            for statement in (_DROP_CHUNKS, _DROP_RECIPIENTS, _DROP_LETTER):
                await connection.execute(statement, [{"gone": letter.id}])
            return
        await _remove(connection, letter.id, result.given_up)
        said = [{"tried": letter.id, "whom": each.number} | said_row(each.said) for each in result.remaining]
        await connection.execute(_SAID, said)

    async def octets(self, letter: Letter) -> AsyncIterator[bytes]:
        """The pieces of a letter, one in memory at a time."""
        if letter.octets is not None:
            yield letter.octets
            return
        number = 0
        while (piece := await self._piece(letter.id, number)) is not None:
            yield piece
            number += 1

    async def sweep(self) -> int:
        """Drop what was written but never promised; how many letters that were."""
        old = (letters.c.state == State.PENDING.value, letters.c.created < epoch() - _PENDING_SECONDS)
        ids = [row.id for row in await self._read(select(letters.c.id).where(*old))]
        if ids:
            await self.drop(*ids)
        return len(ids)

    async def usage(self) -> tuple[int, int]:
        """How many letters there are, and their octets."""
        counted = select(func.count(), func.coalesce(func.sum(letters.c.size), 0)).select_from(letters)
        ((count, octets),) = await self._read(counted)
        return int(count), int(octets)

    async def _piece(self, letter_id: str, number: int) -> bytes | None:
        wanted = select(chunks.c.octets).where(chunks.c.letter == letter_id, chunks.c.number == number)
        found = await self._read(wanted)
        return bytes(found[0].octets) if found else None

    async def _read(self, question: Select[Any]) -> Sequence[Any]:
        async def ask() -> Sequence[Any]:
            async with self._store.read.begin() as connection:
                return list(await connection.execute(question))

        return await self._store.whole(ask())


async def _remove(connection: AsyncConnection, letter_id: str, numbers: tuple[int, ...]) -> None:
    if numbers:
        await connection.execute(_REACHED, [{"tried": letter_id, "whom": number} for number in numbers])


async def _read_letters(connection: AsyncConnection, owners: Mapping[str, str | None]) -> tuple[Letter, ...]:
    found = select(letters, (epoch() - letters.c.created).label("age")).where(letters.c.id.in_(owners))
    rows = (await connection.execute(found.order_by(letters.c.due))).mappings().all()
    whom: defaultdict[str, list[RowMapping]] = defaultdict(list)
    named = select(recipients).where(recipients.c.letter.in_(owners))
    for recipient in (await connection.execute(named.order_by(recipients.c.number))).mappings():
        whom[recipient["letter"]].append(recipient)
    few = [row["id"] for row in rows if row["size"] <= _FEW_OCTETS]
    whole = select(chunks.c.letter, chunks.c.octets).where(chunks.c.letter.in_(few), chunks.c.number == 0)
    octets = {row.letter: bytes(row.octets) for row in await connection.execute(whole)} if few else {}
    return tuple(
        letter_of(row, whom[row["id"]])._replace(octets=octets.get(row["id"]), taken_over=owners[row["id"]] is not None)
        for row in rows
    )


def _whole(body: Body) -> Iterator[bytes]:
    """All of it, or an OSError: a letter is never kept in part."""
    size = 0
    for piece in body.pieces():
        size += len(piece)
        yield piece
    if size != body.size:
        raise OSError(f"{size} octets of a letter can be read of its {body.size}")


def _chunk_rows(letter_id: str, pieces: Iterable[bytes]) -> Iterator[dict[str, object]]:
    for number, octets in enumerate(_cut(pieces)):
        yield {"letter": letter_id, "number": number, "octets": octets}


def _cut(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), CHUNK_OCTETS):
            yield piece[start : start + CHUNK_OCTETS]
