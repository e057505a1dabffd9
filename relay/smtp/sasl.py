"""Who logs in: the user name in a login exchange, read in passing for the log; never the secret (RFC 4954)."""

from __future__ import annotations

import base64
import binascii
import re

_BEARER_USER = re.compile(rb"(?:^|\x01)user=([^\x01]*)|^n,a=([^,]*),")
_ENCODED = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


class LoginObserver:
    """Follows what a client says in one AUTH exchange and keeps the user name, where the mechanism shows it."""

    __slots__ = ("_answers", "mechanism", "user")

    def __init__(self, mechanism: bytes) -> None:
        self.mechanism = mechanism.upper()
        self.user: str | None = None
        self._answers = 0

    def heard(self, answer: bytes) -> None:
        """Look at one base64 answer of the client (the initial response is the first)."""
        self._answers += 1
        user = self._user_in(_decoded(answer))
        if user and self.user is None:
            self.user = user.decode("utf-8", "replace")

    def _user_in(self, answer: bytes) -> bytes | None:
        if self._answers > 1 and self.mechanism != b"CRAM-MD5":
            return None
        match self.mechanism:
            case b"PLAIN":  # authorization identity NUL user NUL password (RFC 4616)
                parts = answer.split(b"\0")
                return parts[1] if len(parts) == 3 else None
            case b"LOGIN":
                return answer
            case b"CRAM-MD5":  # user SPACE digest (RFC 2195)
                return answer.rpartition(b" ")[0]
            case b"XOAUTH2" | b"OAUTHBEARER":  # RFC 7628
                found = _BEARER_USER.search(answer)
                return (found[1] or found[2]) if found else None
        return None


def _decoded(answer: bytes) -> bytes:
    try:
        return base64.b64decode(answer, validate=True)
    except binascii.Error:
        return b""


def well_formed(answer: bytes) -> bool:
    """Whether a client's answer is base64, the `=` of an empty one, or the `*` that cancels (RFC 4954 section 4)."""
    return answer in (b"*", b"=", b"") or _ENCODED.fullmatch(answer) is not None
