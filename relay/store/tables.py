"""The tables of the spool, the same on SQLite and PostgreSQL, and the database's own clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler

metadata = MetaData()

# A mail, from its acceptance to the last verdict on it. Times are seconds since 1970, by the database's clock.
letters = Table(
    "letter",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("kind", String(8), nullable=False),  # mail, or one of our own: bounce, notice
    Column("state", String(8), nullable=False),  # pending (not promised yet), queued, held, stuck
    Column("sender", LargeBinary, nullable=False),  # the path with its brackets, as it came
    Column("parameters", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("login", LargeBinary),  # encrypted
    Column("created", Float(53), nullable=False),
    Column("due", Float(53), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("notified", Boolean, nullable=False),
    Column("owner", String(32)),  # the relay that works on it
    Column("lease", Float(53)),  # until when, unless it says otherwise
    Index("letter_due", "state", "due"),
)

# Those it has not reached yet, each with what was said of it last.
recipients = Table(
    "recipient",
    metadata,
    Column("letter", String(16), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("path", LargeBinary, nullable=False),
    Column("parameters", LargeBinary, nullable=False),
    Column("phase", String(8), nullable=False),
    Column("code", SmallInteger, nullable=False),
    Column("words", LargeBinary, nullable=False),  # the lines of the reply
    Column("fault", String(32)),
)

# Its octets as they go behind DATA, dots doubled and the final dot included.
chunks = Table(
    "chunk",
    metadata,
    Column("letter", String(16), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("octets", LargeBinary, nullable=False),
)


class epoch(GenericFunction[float]):  # noqa: N801 -- it reads as a function of SQL
    """Now, in seconds since 1970: one clock for all relays that share the database."""

    type = Float(53)
    inherit_cache = True


@compiles(epoch, "postgresql")
def _epoch_of_postgresql(element: epoch, compiler: SQLCompiler, **kw: Any) -> str:
    del element, compiler, kw
    return "extract(epoch FROM clock_timestamp())::double precision"


@compiles(epoch, "sqlite")
def _epoch_of_sqlite(element: epoch, compiler: SQLCompiler, **kw: Any) -> str:
    del element, compiler, kw
    return "((julianday('now') - 2440587.5) * 86400.0)"
