"""Reading message data as a stream: where it ends, and what must not be in it (RFC 5321 section 4.5.2).

Only CRLF.CRLF ends a message. A bare CR or LF, taken for a line end by one server and not by the next, is how a second
message is smuggled in behind the first; so no bare CR or LF ever goes upstream: the message is refused or mended.
"""

from __future__ import annotations

import io
import re

from relay.smtp.fault import Fault

_END = b"\r\n.\r\n"
_DOT = b"\r\n."
_CLEAN = (None, "\r\n")
_LINE_END = re.compile(rb"\r\n|[\r\n](\.?)")
# The dot of transparency before a line end that stands alone: mended, the two would end the message.
_LONE_DOT = re.compile(rb"(\r\n)\.(?=\n|\r(?!\n))")
_UNDECIDED = re.compile(rb"\r\n(\.\r?)\Z")
_MANY_OCTETS = 8192  # from here on a look at the columns of lines costs half a pass over all octets, or less
_LONG_LINE = 32  # octets; the columns of shorter lines are no small part of the piece, and are copied


class NewlineGuard:
    """Watches octets go by for NUL and for a CR or LF that stands alone; two pieces may share a CRLF."""

    __slots__ = ("_decoder", "fault")

    def __init__(self) -> None:
        self._decoder = io.IncrementalNewlineDecoder(None, translate=False)
        self.fault: Fault | None = None

    def look(self, data: bytes, *, final: bool = False) -> Fault | None:
        """Look at the next piece; return what was found so far. `final` tells that no LF can follow a last CR."""
        if b"\0" in data:
            self.fault = Fault.NUL
        if len(data) < _MANY_OCTETS or self._owes_newline or not even_lines(data):
            # One pass in C, far faster than a regular expression.
            self._decoder.decode(str(data, "latin-1"), final)
            if self._decoder.newlines not in _CLEAN and self.fault is None:
                self.fault = Fault.BARE_NEWLINE
        return self.fault

    @property
    def _owes_newline(self) -> bool:
        """Whether the piece before ended in a CR, which an LF must follow."""
        return self._decoder.getstate() != (b"", 0)


def even_lines(data: bytes) -> bool:
    """Whether all lines have one length and end in CRLF, and no CR or LF stands elsewhere; False decides nothing.

    So are the lines of an attachment (RFC 2045 section 6.8), and attachments are what makes messages large. Their line
    ends are two columns, and the octets between them are searched by `memchr`.
    """
    first = data.find(b"\n")
    length = data.find(b"\n", first + 1) - first
    if first < 1 or length < _LONG_LINE:
        return False
    lines = len(range(first, len(data), length))
    if data[first - 1 :: length] != b"\r" * lines or data[first::length] != b"\n" * lines:
        return False
    rest = bytearray(data)
    rest[first - 1 :: length] = rest[first::length] = bytes(lines)
    return b"\r" not in rest and b"\n" not in rest


class MessageScanner:
    """One message on its way through: feed it what the client sends, pass on what it returns.

    `ended` tells that the final dot was seen, `rest` holds what came behind it (the next command of a pipelining
    client), `fault` why the message must not be delivered, `size` its octets so far, without dot-stuffing and the
    final dot (RFC 1870 section 5).
    Memory: at most two octets are held back from piece to piece.
    """

    __slots__ = ("_guard", "_held", "_mend", "_normalize", "_tail", "ended", "fault", "rest", "size")

    def __init__(self, *, normalize: bool = False) -> None:
        self._tail = b"\r\n"  # the start of the data counts as the start of a line
        self._held = b""  # a CR at the end of a piece: alone, or the first half of a CRLF?
        self._mend = False  # the last octet passed on was a mended line end: a dot now must be doubled
        self._guard = NewlineGuard()
        self._normalize = normalize
        self.ended = False
        self.rest = b""
        self.size = 0
        self.fault: Fault | None = None

    def feed(self, data: bytes) -> bytes:
        """Take the next piece; return the octets that may go upstream now (the final dot among them)."""
        if self._held:
            data = self._held + data
            self._held = b""
        tail = self._tail
        end, dots = self._find_end(data)
        if end >= 0:
            self.rest = data[end:]
            data = data[:end]
            self.ended = True
        else:
            held = self._undecided(data)
            if held:
                self._held, data = data[-held:], data[:-held]
                dots -= self._held.startswith(b".") and data.endswith(b"\r\n")  # counted when it is fed again
            self._tail = data[-4:] if len(data) > 3 else (self._tail + data)[-4:]
        final_crlf = 2 if self.ended else 0
        self.size += len(data) - dots - (data.startswith(b".") and tail.endswith(b"\r\n")) - final_crlf
        return self._normalized(data, tail) if self._normalize else self._checked(data)

    def _find_end(self, data: bytes) -> tuple[int, int]:
        """Where the message ends, and how many lines in this piece begin with a dot behind their CRLF.

        The first is the index just behind CRLF.CRLF, which may have begun in the piece before; -1 if it is not there.
        Each of the dots is transparency, or the end (RFC 5321 section 4.5.2).
        """
        tail = len(self._tail)
        at = (self._tail + data[:4]).find(_END)
        if at >= 0 and at + 5 > tail:
            return at + 5 - tail, 0
        dot = data.find(b".")  # one octet is found ten times as fast as three, and an attachment has no dots
        first = data.find(_DOT, max(dot - 2, 0)) if dot >= 0 else -1
        if first < 0:
            return -1, 0
        if data.startswith(_END, first):  # most messages: the only dot that begins a line is the last
            return first + 5, 1
        at = data.find(_END, first)
        end = at + 5 if at >= 0 else -1
        return end, data.count(_DOT, first, end if at >= 0 else len(data))

    def _undecided(self, data: bytes) -> int:
        """How many octets at the end of a piece cannot be passed on before the next one tells what they are."""
        if self._normalize:
            found = _UNDECIDED.search(self._tail[-2:] + data[-4:] if len(data) < 4 else data[-4:])
            if found:
                return min(len(found[1]), len(data))
        return 1 if data.endswith(b"\r") else 0

    def _checked(self, data: bytes) -> bytes:
        self.fault = self._guard.look(data, final=True)  # final: a CR that is still here has another CR behind it
        return b"" if self.fault else data

    def _normalized(self, data: bytes, tail: bytes) -> bytes:
        if self._mend and data.startswith(b"."):
            data = b"." + data
        if b"." in data:
            before = tail[-2:] if tail.endswith(b"\r\n") else b""
            data = _LONE_DOT.sub(rb"\1", before + data)[len(before) :]
        if data:
            self._mend = data.endswith(b"\n") and not data.endswith(b"\r\n")
        found = NewlineGuard().look(data, final=True)
        if found is Fault.NUL:
            self.fault = found
        return b"" if self.fault else _LINE_END.sub(_crlf, data) if found else data


def _crlf(found: re.Match[bytes]) -> bytes:
    """CRLF for any line end; a dot behind a mended one starts a line now, so it is doubled."""
    return b"\r\n" if not found[1] else b"\r\n.."
