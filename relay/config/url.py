"""The upstream as one URL: where it is, how the way to it is protected, and which login it wants."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote, unquote

from pydantic import SecretStr

from relay.config.kinds import is_address
from relay.config.problem import expected
from relay.networks import is_loopback


class Security(StrEnum):
    """How the connection to the upstream is protected."""

    STARTTLS = "starttls"  # in plain at first, encrypted and verified before anything is said (RFC 3207)
    IMPLICIT = "implicit"  # TLS from the first octet (RFC 8314)
    PLAIN = "plain"  # never encrypted


_SCHEMES = {
    "smtp": (Security.STARTTLS, 587),
    "smtps": (Security.IMPLICIT, 465),
    "smtp+plain": (Security.PLAIN, 25),
}
_WORD = {security: scheme for scheme, (security, _) in _SCHEMES.items()}
_EXAMPLES = (
    "smtp://HOST (STARTTLS, port 587), smtps://HOST (TLS, port 465) or smtp+plain://HOST (never encrypted, port 25)"
)

# The login runs to the last @, so that a password with @, / or ? in it works even where it was not percent-encoded.
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,15})://(?:(?P<login>.*)@)?(?P<rest>[^@]*)", re.DOTALL)
_PLACE = re.compile(r"(?P<host>\[[^\]\[]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>\d{1,5}))?/?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class UpstreamURL:
    """The server behind us; `str()` of it masks the password."""

    host: str  # a name or an address, without brackets
    port: int
    security: Security = Security.STARTTLS
    user: str | None = None
    password: SecretStr | None = None

    @property
    def loopback(self) -> bool:
        """Whether the upstream is this machine: then plain SMTP is accepted where STARTTLS is not offered."""
        return is_loopback(self.host)

    @property
    def place(self) -> str:
        """Host and port, as in "mail.example.com:587" and "[::1]:25"."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        """The URL with its password masked."""
        login = quote(self.user, safe="") + (":***@" if self.password else "@") if self.user else ""
        return f"{_WORD[self.security]}://{login}{self.place}"


def upstream_url(value: Any) -> UpstreamURL:
    """Read the URL of the upstream.

    Raises:
        PydanticCustomError: what was expected instead; a password is in none of its words.
    """
    if isinstance(value, UpstreamURL):
        return value
    parts = _URL.fullmatch(value.strip()) if isinstance(value, str) else None
    if not parts:
        raise expected(_EXAMPLES, "begin with smtp://", "text without smtp:// (hidden, it may hold a password)")
    if parts["scheme"].lower() not in _SCHEMES:
        raise expected(_EXAMPLES, found=f"a URL that begins with {parts['scheme']}://")
    security, port = _SCHEMES[parts["scheme"].lower()]
    host, port = _host_and_port(parts["rest"], port)
    return UpstreamURL(host, port, security, *_login(parts["login"]))


def _host_and_port(rest: str, default: int) -> tuple[str, int]:
    found = _PLACE.fullmatch(rest)
    if not found:
        raise expected("HOST or HOST:PORT at the end of the URL, and no path or query after it", found=_fault_of(rest))
    host, port = found["host"].strip("[]"), int(found["port"] or default)
    if found["host"].startswith("[") and not is_address(host):
        raise expected(
            "an IPv6 address in the brackets, as in smtp://[2001:db8::1]:587", found="something else in them"
        )
    if "%" in host:
        raise expected(
            "an IPv6 address without a zone, such as 2001:db8::1", found="a link-local address with its zone"
        )
    if not 1 <= port <= 65535:
        raise expected("a port from 1 to 65535", found="a port outside that range")
    return host, port


def _fault_of(rest: str) -> str:
    """What is wrong behind the login, without repeating it: a password may have ended up there."""
    if not rest or rest[0] in ":/?#":
        return "a URL without a host"
    if re.search(r"[/?#]", rest.rstrip("/")):
        return "a URL with a path, a query or a fragment"
    if rest.count(":") > 1:
        return "an IPv6 address without its brackets, or more than one port"
    return "a port that is not a number of at most five digits" if ":" in rest else "a host with characters no host has"


def _login(login: str | None) -> tuple[str | None, SecretStr | None]:
    if login is None:
        return None, None
    if _BAD_ESCAPE.search(login):
        raise expected("a % in user or password written as %25", found="a % that is not followed by two hex digits")
    user, colon, password = (unquote(part) for part in login.partition(":"))
    if not user or not (user + password).isprintable():
        raise expected("a user name before the @, without control characters", found="none, or one that cannot be sent")
    return user, SecretStr(password) if colon and password else None
