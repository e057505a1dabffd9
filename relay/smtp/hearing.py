"""Reading replies strictly: what is not exactly one reply of RFC 5321 section 4.2 is not believed."""

from __future__ import annotations

MAX_OCTETS = 65536
MAX_LINES = 200

_CODES = {b"%d" % code: code for code in range(200, 600)}
_LAST = (b" ", b"")


class GarbledError(Exception):
    """What came is no SMTP reply; the words say what was seen."""


class ReplyReader:
    """Cuts a stream of octets into replies: `[2-5]dd( |-|end)text CRLF`, one code per reply.

    A reply may have at most 200 lines and 64 KiB, so that an endless one costs neither memory nor time.
    """

    __slots__ = ("_code", "_lines", "_octets", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._code = 0
        self._lines: list[bytes] = []
        self._octets = 0

    @property
    def empty(self) -> bool:
        """Whether no part of a reply is waiting for its end."""
        return not self._rest and not self._lines

    @property
    def refusing(self) -> bool:
        """Whether what waits for its end is a refusal, whatever more may come of it."""
        return self._code >= 400 if self._lines else self._rest[:1] in (b"4", b"5")

    def feed(self, data: bytes) -> list[tuple[int, tuple[bytes, ...]]]:
        """Take what came; return the replies that are now complete, as (code, lines).

        Raises:
            GarbledError: what came cannot be (part of) a reply. Replies before it in the same piece are lost with it:
                a server that says such a thing is not to be believed in anything it said in the same breath.
        """
        code = _CODES.get(data[:3])
        if code and not (self._rest or self._lines) and _is_one_line(data):
            return [(code, (data[4:-2],))]
        replies: list[tuple[int, tuple[bytes, ...]]] = []
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        for line in lines:
            self._line(line)
            if line[3:4] != b"-":
                replies.append((self._code, tuple(self._lines)))
                self._lines, self._octets = [], 0
        if b"\n" in self._rest:  # no CRLF can make a line of it any more: waiting for one would be told as silence
            raise GarbledError(f"a line that ends in LF alone: {_shown(self._rest)}")
        if self._octets + len(self._rest) > MAX_OCTETS:
            raise GarbledError(f"a reply of more than {MAX_OCTETS} octets")
        return replies

    def _line(self, line: bytes) -> None:
        code = _CODES.get(line[:3])
        if code is None or (line[3:4] not in _LAST and line[3:4] != b"-") or b"\r" in line or b"\n" in line:
            raise GarbledError(f"a line that is no SMTP reply: {_shown(line)}")
        if self._lines and code != self._code:
            raise GarbledError(f"two codes in one reply: {self._code} and {code}")
        self._code = code
        self._lines.append(line[4:])
        self._octets += len(line) + 2
        if len(self._lines) > MAX_LINES or self._octets > MAX_OCTETS:
            raise GarbledError(f"a reply of more than {MAX_LINES} lines or {MAX_OCTETS} octets")


def _is_one_line(data: bytes) -> bool:
    """Whether what begins with a code is a whole reply in one line, as nearly all are; False decides nothing."""
    end = data.find(b"\r")
    return data[end:] == b"\r\n" and data[3:4] == b" " and 3 < end < MAX_OCTETS and data.find(b"\n") > end


def _shown(line: bytes) -> str:
    return ascii(line[:40].decode("latin-1"))
