"""Opening the database: an engine that writes durably, and tables that are up to date."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, event, text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from relay.config import DatabaseURL

T = TypeVar("T")

_BUSY_SECONDS = 60.0  # how long one process waits for another's write to the same SQLite file
_MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 0x72656C6179  # "relay"; any number will do that no other program takes

# FULL: in WAL mode, NORMAL does not wait for the disk at a commit, and "250" would be a promise without cover.
# fullfsync: what FULL needs on macOS to reach the disk; nothing elsewhere.
_SQLITE = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "fullfsync=ON",
    "temp_store=MEMORY",
    f"busy_timeout={int(_BUSY_SECONDS * 1000)}",
)


class StoreError(ValueError):
    """The database cannot be opened; `str()` of it tells the operator why, without any password."""


@dataclass(frozen=True, slots=True)
class Store:
    """An open database. `read` is for questions: on SQLite it does not take the one lock for writing."""

    write: AsyncEngine
    read: AsyncEngine
    file: Path | None  # of SQLite
    _running: set[asyncio.Task[Any]] = field(default_factory=set)

    async def whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it to its end, even if whoever waits for it is cancelled: the drivers do not survive half of it."""
        return await asyncio.shield(self.start(work))

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin it; `close` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def close(self) -> None:
        """Close every connection, when what is under way is done."""
        if self._running:
            await asyncio.wait(self._running)
        await self.write.dispose()


async def open_store(url: DatabaseURL, *, migrate: bool = True) -> Store:
    """Open the database, and bring its tables up to date.

    Raises:
        StoreError: it cannot be reached or written.
    """
    try:
        engine = _sqlite(url.file) if url.file is not None else _postgresql(url)
    except OSError as error:
        raise StoreError(f"the database {url} cannot be used: {reason_of(error)}") from None
    try:
        if migrate:
            await _migrate(engine)
    except (SQLAlchemyError, OSError) as error:
        await engine.dispose()
        raise StoreError(f"the database {url} cannot be used: {reason_of(error)}") from None
    return Store(engine, engine.execution_options(reading=True), url.file)


def reason_of(error: Exception) -> str:
    """The driver's own words, for the log: one line, for what follows may quote the mail, as SQLAlchemy's words do."""
    cause = getattr(error, "orig", None) or error
    return next(iter(str(cause).splitlines()), "") or type(cause).__name__


def _sqlite(file: Path) -> AsyncEngine:
    os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))  # it holds mail; its WAL takes over the mode
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(file)),
        connect_args={"timeout": _BUSY_SECONDS},
        hide_parameters=True,
    )
    opened = _identity(file)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:
        reading = connection.get_execution_options().get("reading")
        if not reading and _identity(file) != opened:
            # What is written into the open file nobody would find again.
            raise OSError(f"{file} was removed or replaced while it was open; put it back, or start the relay again")
        # A transaction that writes takes its lock at once: taken later, it can fail in the middle.
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _prepare_sqlite(connection: Any, record: Any) -> None:
    """Let SQLAlchemy begin transactions; Python's driver would do it at times of its own."""
    del record
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _SQLITE:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _identity(file: Path) -> tuple[int, int] | None:
    """Which file stands at this place; None: none does."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _postgresql(url: DatabaseURL) -> AsyncEngine:
    return create_async_engine(
        URL.create(
            "postgresql+asyncpg",
            username=url.user,
            password=url.password.get_secret_value() if url.password else None,
            host=None if url.host.startswith("/") else url.host,
            port=url.port,
            database=url.name,
            query={"host": url.host} if url.host.startswith("/") else {},
        ),
        pool_pre_ping=True,  # the database may have been started anew since
        # A server may be set up to say "committed" before it is on the disk.
        connect_args={"timeout": 10.0, "server_settings": {"synchronous_commit": "on"}},
        hide_parameters=True,
    )


async def _migrate(engine: AsyncEngine) -> None:
    """Bring the tables up to date.

    A new file of SQLite's is given its WAL first; processes that do so at once do not wait for each other (busy_timeout
    is nothing to it), so each tries again.
    """
    deadline = asyncio.get_running_loop().time() + _BUSY_SECONDS
    while True:
        try:
            async with engine.begin() as connection:
                await _lock(connection)
                await connection.run_sync(_upgrade)
        except OperationalError as error:
            if reason_of(error) != "database is locked" or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def _lock(connection: AsyncConnection) -> None:
    """Relays that start at once migrate one after the other; SQLite's own lock is taken already."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
