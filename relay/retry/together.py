"""Group commit: what several want written at the same time goes into one transaction, and costs one fsync."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy import Executable
    from sqlalchemy.ext.asyncio import AsyncConnection

    from relay.store import Store

Rows = Sequence[Mapping[str, Any]]
Work = Callable[["AsyncConnection"], Awaitable[None]]

_MOST = 200  # jobs in one transaction


class Job(NamedTuple):
    """Something to be written: rows for statements that others use too, and work that stands alone."""

    rows: tuple[tuple[Executable, Rows], ...]
    work: Work | None
    done: asyncio.Future[None]


class Together:
    """Writes what is handed over, in the order it came; each `write` returns when its own part is on the disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[Job] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, *rows: tuple[Executable, Rows], work: Work | None = None) -> None:
        """Write it.

        Raises:
            SQLAlchemyError, OSError: it is not written.
        """
        job = Job(rows, work, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        if self._writer is None:
            self._writer = self._store.start(self._run())
        await asyncio.shield(job.done)

    async def _run(self) -> None:
        try:
            while self._waiting:
                jobs, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                await self._write_all(jobs)
        finally:
            self._writer = None

    async def _write_all(self, jobs: list[Job]) -> None:
        begun = False
        try:
            async with self._store.write.begin() as connection:
                begun = True
                await _carry_out(jobs, connection)
        except Exception as error:  # noqa: BLE001 -- whatever it is, somebody waits for each of them
            if begun and len(jobs) > 1:
                for job in jobs:  # one of them is at fault: it must not take the others along
                    await self._write_all([job])
                return
            for job in jobs:  # where not even a transaction begins, each alone would only wait as long again
                job.done.set_exception(error)
        else:
            for job in jobs:
                job.done.set_result(None)


async def _carry_out(jobs: list[Job], connection: AsyncConnection) -> None:
    for statement, rows in _merged(jobs):  # none with no rows: it would be executed without any
        await connection.execute(statement, rows)
    for job in jobs:
        if job.work is not None:
            await job.work(connection)


def _merged(jobs: Iterable[Job]) -> list[tuple[Executable, list[Mapping[str, Any]]]]:
    merged: dict[int, tuple[Executable, list[Mapping[str, Any]]]] = {}
    for job in jobs:
        for statement, rows in job.rows:
            merged.setdefault(id(statement), (statement, []))[1].extend(rows)
    return [(statement, rows) for statement, rows in merged.values() if rows]
