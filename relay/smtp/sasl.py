"""Who logs in: the user name in a login exchange, read in passing for the log (RFC 4954).

The secret is looked at only where the operator has chosen that mail be kept together with its login.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relay.smtp.reply import Reply

# Where a server looks for the user, and nowhere else: any other name may be a lie (RFC 7628 section 3.1).
_XOAUTH2_USER = re.compile(rb"user=([^\x01]*)\x01")
_OAUTHBEARER_USER = re.compile(rb"[ny],a=([^,]*),")
_BEARER_TOKEN = re.compile(rb"\x01auth=Bearer ([^\x01]+)", re.IGNORECASE)
_FIELDS = re.compile(rb"[\x00\x01]")
_WORDS = re.compile(rb"[\x00\x01 ]")
_LEAST_SECRET = 4  # octets; to hide shorter ones would take the words of the reply apart
_ENCODED = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
# The client's answers in an exchange that succeeds; in another a server may have passed over what came first.
_ANSWERS = {b"PLAIN": 1, b"LOGIN": 2, b"CRAM-MD5": 1, b"XOAUTH2": 1, b"OAUTHBEARER": 1}


class Credentials(NamedTuple):
    """A client's login, as it can be used again. Never shown."""

    mechanism: str
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.mechanism!r}, ...)"


class LoginObserver:
    """Follows what a client says in one AUTH exchange and keeps the user name, where the mechanism shows it.

    `answers` counts what the client has said, `claimed` is the name it gave. With `keep`, the exchange itself is kept
    too, for `credentials`.
    """

    __slots__ = ("_kept", "answers", "claimed", "mechanism")

    def __init__(self, mechanism: bytes, *, keep: bool = False) -> None:
        self.mechanism = mechanism.upper()
        self.claimed: str | None = None
        self.answers = 0
        self._kept: list[bytes] | None = [] if keep else None

    @property
    def user(self) -> str | None:
        """Who has logged in, once the exchange has succeeded; None where that is not certain."""
        return self.claimed if self.answers == _ANSWERS.get(self.mechanism) else None

    @property
    def credentials(self) -> Credentials | None:
        """The login, where it was kept and can be used again: not that of a challenge and its answer."""
        said = self._kept or []
        match self.mechanism, len(said):
            case b"PLAIN", 1 if said[0].count(b"\0") == 2:
                identity, user, password = said[0].split(b"\0")
                return _credentials("plain", user, password) if identity in (b"", user) else None
            case b"LOGIN", 2:
                return _credentials("login", *said)
            case b"XOAUTH2", 1:
                found = _BEARER_TOKEN.search(said[0])
                return _credentials("xoauth2", (self.user or "").encode(), found[1]) if found else None
        return None

    def heard(self, answer: bytes) -> None:
        """Look at one base64 answer of the client (the initial response is the first)."""
        self.answers += 1
        decoded = _decoded(answer)
        if self._kept is not None:
            self._kept.append(decoded)
        user = self._user_in(decoded)
        if user and self.claimed is None:
            self.claimed = user.decode("utf-8", "replace")

    def _user_in(self, answer: bytes) -> bytes | None:
        shows_it = self.answers == 1 or self.mechanism == b"CRAM-MD5"
        match self.mechanism if shows_it else None:
            case b"PLAIN":  # authorization identity NUL user NUL password (RFC 4616)
                parts = answer.split(b"\0")
                return parts[1] if len(parts) == 3 else None
            case b"LOGIN":
                return answer
            case b"CRAM-MD5":  # user SPACE digest (RFC 2195)
                return answer.rpartition(b" ")[0]
            case b"XOAUTH2":
                found = _XOAUTH2_USER.match(answer)
                return found[1] if found else None
            case b"OAUTHBEARER":
                return _authorized(answer)
        return None


def _authorized(answer: bytes) -> bytes | None:
    """The authorization identity in the header of an OAUTHBEARER response (RFC 7628, RFC 5801 section 4)."""
    found = _OAUTHBEARER_USER.match(answer)
    return found[1].replace(b"=2C", b",").replace(b"=3D", b"=") if found else None


def without_secrets(reply: Reply, said: Iterable[bytes], user: str | None) -> Reply:
    """A refusal in which nothing is repeated that was said in the exchange it ends, but for the user name.

    Some servers quote what they did not understand or accept; the log would keep it.
    """
    named = (user or "").encode()
    secrets = {form for answer in said for form in _forms(answer) if len(form) >= _LEAST_SECRET} - {named}
    if not secrets:
        return reply
    pattern = re.compile(b"|".join(map(re.escape, sorted(secrets, key=len, reverse=True))))
    return reply._replace(lines=tuple(pattern.sub(b"***", line) for line in reply.lines))


def _forms(answer: bytes) -> Iterator[bytes]:
    """How a server may repeat an answer: as it came, decoded, or a part of it (also encoded anew)."""
    plain = _decoded(answer)
    yield from (answer, plain)
    for part in {*_FIELDS.split(plain), *_WORDS.split(plain)}:
        yield from (part, base64.b64encode(part))


def _credentials(mechanism: str, user: bytes, password: bytes) -> Credentials | None:
    try:
        return Credentials(mechanism, user.decode(), password.decode())
    except UnicodeDecodeError:
        return None


def _decoded(answer: bytes) -> bytes:
    try:
        return base64.b64decode(answer, validate=True)
    except binascii.Error:
        return b""


def well_formed(answer: bytes) -> bool:
    """Whether a client's answer is base64, the `=` of an empty one, or the `*` that cancels (RFC 4954 section 4)."""
    return answer in (b"*", b"=", b"") or _ENCODED.fullmatch(answer) is not None
