"""Where the relay keeps what must outlive it: one SQLite file, or a PostgreSQL database that several relays share."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, unquote

from pydantic import SecretStr

from relay.config.kinds import Reads, Section, file_to_write
from relay.config.problem import expected

_EXAMPLES = "sqlite:///FILE (sqlite:////var/lib/relay/relay.db) or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
_SQLITE = "sqlite:///"
_POSTGRESQL = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^:/@]+)(?::(?P<password>.*))?@)?"
    r"(?P<host>\[[^\]\[]+\]|[A-Za-z0-9_.-]*)(?::(?P<port>\d{1,5}))?/(?P<name>[^/?#@]+)(?:\?host=(?P<socket>/[^?&]+))?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class DatabaseURL:
    """A database; `str()` of it masks the password. `file` is set for SQLite, and nothing else is."""

    file: Path | None = None
    host: str = ""  # a name, an address without brackets, or the folder of a Unix socket
    port: int | None = None
    name: str = ""
    user: str | None = None
    password: SecretStr | None = None

    def __str__(self) -> str:
        """The URL with its password masked."""
        if self.file is not None:
            return f"{_SQLITE}{self.file}"
        login = quote(self.user, safe="") + (":***@" if self.password else "@") if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{login}{host}{f':{self.port}' if self.port else ''}/{self.name}"


def database_url(value: Any) -> DatabaseURL:
    """Read the URL of a database.

    Raises:
        PydanticCustomError: what was expected instead; a password is in none of its words.
    """
    if isinstance(value, DatabaseURL):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if text.startswith(_SQLITE) and len(text) > len(_SQLITE):
        return DatabaseURL(file=file_to_write(text.removeprefix(_SQLITE)))
    parts = _POSTGRESQL.fullmatch(text)
    if not parts:
        raise expected(_EXAMPLES, "in user and password write % as %25, / as %2F", "something else (hidden)")
    user, password = (unquote(part) if part else None for part in parts.group("user", "password"))
    return DatabaseURL(
        host=parts["socket"] or parts["host"].strip("[]") or "localhost",
        port=int(parts["port"]) if parts["port"] else None,
        name=unquote(parts["name"]),
        user=user,
        password=SecretStr(password) if password else None,
    )


class Database(Section):
    """Where the spool is kept."""

    url: Annotated[DatabaseURL, Reads(database_url)] = DatabaseURL(file=Path("relay.db"))
