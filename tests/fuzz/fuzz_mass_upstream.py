"""The upstream of the many messages: what it does with each stands in the sender's address."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import cast

_OK = b"250 2.0.0 Ok\r\n"
_TAKEN = b"250 2.0.0 Queued\r\n"
_REFUSALS = {"mail": b"550 5.7.1 No\r\n", "rcpt": b"451 4.2.1 Later\r\n", "data": b"554 5.5.1 No\r\n"}
# What is said instead of the verdict; an empty one leaves without a word.
_VERDICTS = {
    "refuse": b"550 5.7.1 Spam\r\n",
    "later": b"451 4.3.0 Later\r\n",
    "mixed": b"550-5.7.1 No\r\n250 2.0.0 Ok\r\n",
    "half": b"250 2.0.0 Queu",
    "go-on": b"354 Go on\r\n",
    "garbage": b"2\x00\x1b\r\n",
    "xok": b"250xOk\r\n",
    "goodbye": b"421 4.3.2 Bye\r\n",
    "leave": b"",
}
_EARLY = {"early-success": _TAKEN, "early-half": b"250 2.0.", "early-refusal": b"552 5.2.3 Too big\r\n"}
_SILENT = "silent"
FATES = (*_REFUSALS, *_VERDICTS, *_EARLY, "early-behind-354", "twice", "accept-and-leave", _SILENT)


@dataclass(slots=True)
class Ledger:
    """Of each mail, by its number: digests of what came complete, and whether the upstream has said 250 to it."""

    came: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    accepted: dict[int, bool] = field(default_factory=lambda: defaultdict(bool))


class Upstream(asyncio.Protocol):
    """One connection from the relay."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._buffer = b""
        self._number, self._fate = -1, "accept"
        self._text: list[bytes] | None = None  # DATA: the message so far
        self._chunks: list[bytes] = []
        self._chunk: tuple[int, bool] | None = None
        self._silent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class
        self._say(b"220 upstream.test ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while not (self._silent or self._transport.is_closing()) and self._next():
            pass

    def _next(self) -> bool:
        if self._text is not None:
            return self._next_text()
        if self._chunk is not None:
            return self._next_chunk(*self._chunk)
        line, end, rest = self._buffer.partition(b"\r\n")
        if end:
            self._buffer = rest
            self._command(line)
        return bool(end)

    def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb == b"MAIL":
            number, _, fate = line.partition(b"<m")[2].partition(b"@")[0].partition(b".")
            self._number, self._fate, self._chunks = int(number), fate.decode(), []
            self._say(_REFUSALS["mail"] if self._fate == "mail" else _OK)
        elif verb == b"RCPT":
            self._say(_REFUSALS["rcpt"] if self._fate == "rcpt" else _OK)
        elif verb == b"DATA":
            self._data()
        elif verb == b"BDAT":
            words = line.split()
            self._chunk = int(words[1]), len(words) == 3
        elif verb == b"EHLO":
            self._say(b"250-upstream.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 CHUNKING\r\n")
        else:
            self._say(b"221 2.0.0 Bye\r\n" if verb == b"QUIT" else _OK)

    def _data(self) -> None:
        if self._fate == "data":
            self._say(_REFUSALS["data"])
            return
        self._say(b"354 Go on\r\n" + (_TAKEN if self._fate == "early-behind-354" else b""))
        self._text = [b"\r\n"]

    def _next_text(self) -> bool:
        assert self._text is not None
        if self._fate in _EARLY:
            self._say(_EARLY[self._fate])
            self._silent = True  # whatever comes now is not read
            return False
        whole = b"".join(self._text) + self._buffer
        end = whole.find(b"\r\n.\r\n", max(0, len(whole) - len(self._buffer) - 5))
        if end < 0:
            self._text, self._buffer = [whole], b""
            return False
        self._text, self._buffer = None, whole[end + 5 :]
        self._came((whole[:end] + b"\r\n").replace(b"\r\n..", b"\r\n.")[2:])
        return True

    def _next_chunk(self, size: int, last: bool) -> bool:
        if self._fate in _EARLY:
            self._say(_EARLY[self._fate])
            self._silent = True
            return False
        if len(self._buffer) < size:
            return False
        self._chunks.append(self._buffer[:size])
        self._buffer, self._chunk = self._buffer[size:], None
        if last:
            self._came(b"".join(self._chunks))
        else:
            self._say(_OK)
        return True

    def _came(self, text: bytes) -> None:
        self._ledger.came[self._number].append(hashlib.sha256(text).hexdigest())
        fate = self._fate
        if fate == _SILENT:
            self._silent = True
        elif fate in _VERDICTS:
            self._say(_VERDICTS[fate])
            if fate in ("half", "goodbye", "leave"):
                self._transport.close()
        else:
            self._ledger.accepted[self._number] = True
            self._say(_TAKEN * 2 if fate == "twice" else _TAKEN)
            if fate == "accept-and-leave":
                self._transport.close()

    def _say(self, octets: bytes) -> None:
        self._transport.write(octets)
