"""What a server said: one reply of the dialogue, and the phase of the dialogue it answers."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from relay.smtp.fault import Fault

_STATUS = re.compile(rb"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t"
_TEXT_OCTETS = 506  # 512 less code, separator and CRLF


class Phase(StrEnum):
    """The step of an SMTP dialogue that a reply answers (RFC 5321 section 3)."""

    CONNECT = "connect"
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    MESSAGE = "message"  # the verdict after the final dot (or the last BDAT chunk)

    __hash__ = str.__hash__  # Enum's own is a Python function, and every command looks its time up by its phase


class Reply(NamedTuple):
    """One reply of an SMTP server (RFC 5321 section 4.2), as it was heard.

    `lines` hold the text of each line without code, separator and CRLF, byte for byte; `phase` is None where a reply
    is looked up outside a dialogue. `fault` is set when nobody said this: see `relay.smtp.fault`.
    """

    phase: Phase | None
    code: int
    lines: tuple[bytes, ...] = (b"",)
    fault: Fault | None = None

    @property
    def ok(self) -> bool:
        """Whether the command succeeded or may go on (2xx, 3xx)."""
        return self.code < 400

    @property
    def transient(self) -> bool:
        """Whether the same command may succeed later (4xx)."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """Whether repeating the command unchanged is pointless (5xx)."""
        return self.code >= 500

    def wire(self) -> bytes:
        """The reply for a client: unchanged, unless its octets may not stand in a reply (RFC 5321 4.5.3.1.5)."""
        lines = self.lines
        if len(lines) == 1 and sound(lines[0]):  # as nearly all are
            return b"%d %s\r\n" % (self.code, lines[0])
        if not all(map(sound, lines)):
            lines = tuple(_mended(line, self.code) for line in lines)
        *first, last = lines
        return b"".join([*(b"%d-%s\r\n" % (self.code, line) for line in first), b"%d %s\r\n" % (self.code, last)])

    @property
    def status(self) -> str | None:
        """The enhanced status code, such as "5.1.1" (RFC 3463, RFC 2034), or None where the reply has none.

        A status of another class than the basic code (`550 2.1.5 ...`) contradicts RFC 2034 section 4: it is text.
        """
        for line in self.lines:
            found = _STATUS.match(line)
            if found and found[1][0] == ord(str(self.code)[0]):
                return found[1].decode()
        return None

    @property
    def texts(self) -> tuple[str, ...]:
        """The server's own words, a line each, without the enhanced code; undecodable octets become U+FFFD."""
        return tuple(_without_status(line).decode("utf-8", "replace") for line in self.lines)

    @property
    def text(self) -> str:
        """The server's own words in one line, as they read."""
        if len(self.lines) == 1:  # as nearly all have
            return _without_status(self.lines[0]).decode("utf-8", "replace").strip()
        return " ".join(filter(None, (line.strip() for line in self.texts)))


def sound(line: bytes) -> bool:
    """Whether a line's text may stand in a reply: printable ASCII, and not too long (RFC 5321 section 4.5.3.1.5)."""
    return len(line) <= _TEXT_OCTETS and not line.translate(None, _PRINTABLE)


def _mended(line: bytes, code: int) -> bytes:
    sound = bytes(octet if octet in _PRINTABLE else 0x3F for octet in line)
    return sound if code == 334 else sound[:_TEXT_OCTETS]  # a challenge may be long (RFC 4954 section 4)


def _without_status(line: bytes) -> bytes:
    found = _STATUS.match(line)
    return line[found.end() :] if found else line
