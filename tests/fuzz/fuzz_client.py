"""A client of the fuzzed dialogue: what it has said is read once more as RFC 5321 reads it, independently of the relay.

So it is known which command, message or chunk each reply answers; `fuzz_verdict` judges the reply.
"""

from __future__ import annotations

import contextlib
import re
import socket
from dataclasses import dataclass

from fuzz_clock import read_all
from fuzz_oracle import has_bare_newline, mended, read_message, read_replies
from fuzz_upstream import Key, Record, key_of
from fuzz_verdict import Conversation

_ANSWER = re.compile(rb"[A-Za-z0-9+/]*={0,2}|\*")  # what is none cancels the login
_LONGEST_LINE, _LONGEST_COMMAND = 12_288, 2_048


@dataclass(slots=True)
class Item:
    """Something the client has said that is owed one reply."""

    verb: str
    key: Key
    argument: bytes = b""
    octets: bytes = b""  # of a message (as the upstream must get it) or of a chunk
    chunk: bool = False
    clean: bool = True
    troubles: int = 0  # how many there had been when it was said


class Client:
    """One client: its socket, what it has said, and what it has heard."""

    def __init__(self, sock: socket.socket, record: Record, *, normalize: bool) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.gone = False  # it has closed its socket
        self.half_closed = False
        self.closed = False  # by the relay
        self.talk = Conversation(record)
        self._items: list[Item] = [Item("CONNECT", ("CONNECT", b""))]
        self._answered = 0
        self._record = record
        self._normalize = normalize
        self._unread = b""
        self._heard = b""
        self._chunk: tuple[int, bool] | None = (
            None  # octets of the chunk that is being said, and whether it is the last
        )
        self._skipping = False  # the rest of an overlong line

    @property
    def waiting(self) -> list[Item]:
        """What is not answered yet."""
        return self._items[self._answered :]

    @property
    def sent(self) -> dict[bytes, bytes]:
        """The messages that the upstream may have got from this client, by their mail."""
        now = self.waiting[0] if self.waiting else None
        under_way = {self.talk.mail: self.talk.text_of(now)} if now and now.verb == "MESSAGE" and now.clean else {}
        return under_way | self.talk.messages

    # -- saying

    def say(self, octets: bytes) -> None:
        """Send octets, and remember them."""
        if self.gone or self.closed or self.half_closed:
            return
        with contextlib.suppress(OSError):
            self._unread += octets[: self.sock.send(octets)]
        self._interpret()

    def vanish(self) -> None:
        """Close the socket."""
        if not self.gone:
            self.gone = True
            self.sock.close()

    def half_close(self) -> None:
        """Say nothing more, but go on listening."""
        if not (self.gone or self.closed):
            self.half_closed = True
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)

    # -- what was said, read independently

    def _interpret(self) -> None:
        while not self._waits_for_reply() and self._next():
            pass

    def _waits_for_reply(self) -> bool:
        return bool(self.waiting) and self._items[-1].verb in ("DATA", "AUTH", "QUIT")

    def _next(self) -> bool:
        if self.talk.mode == "message":
            return self._next_message()
        if self._chunk is not None:
            return self._next_chunk(*self._chunk)
        line, end, rest = self._unread.partition(b"\n")
        if not end and (self._skipping or len(line) <= _LONGEST_LINE):
            self._unread = b"" if self._skipping else self._unread
            return False
        self._unread = rest
        overlong, skipped, self._skipping = len(line) >= _LONGEST_LINE, self._skipping, not end
        if not skipped:
            self._line(line.removesuffix(b"\r"), overlong=overlong)
        return True

    def _line(self, line: bytes, *, overlong: bool) -> None:
        login, self.talk.mode = self.talk.mode == "login", "line"
        if login:
            self._add(Item("AUTH", ("AUTH", line if _ANSWER.fullmatch(line) else b"*")))
        elif overlong or (len(line) + 2 > _LONGEST_COMMAND and not line.upper().startswith(b"AUTH ")):
            self._add(Item("OVERLONG", ("OVERLONG", b"")))
        else:
            self._command(key_of(line), line.partition(b" ")[2])

    def _command(self, key: Key, argument: bytes) -> None:
        words = argument.upper().split()
        if key[0] == "BDAT" and words and words[0].isdigit() and words[1:] in ([], [b"LAST"]):
            self._chunk = int(words[0]), len(words) == 2
        else:
            self._add(Item(key[0], key, argument))

    def _next_message(self) -> bool:
        message = read_message(self._unread)
        if not message.ended:
            return False
        self._unread = self._unread[message.used :]
        self.talk.mode = "line"
        clean = not message.nul and (self._normalize or not message.bare)
        text = mended(message.text) if self._normalize else message.text
        self._add(Item("MESSAGE", ("MESSAGE", b""), octets=text, clean=clean))
        return True

    def _next_chunk(self, size: int, last: bool) -> bool:
        if len(self._unread) < size:
            return False
        octets, self._unread, self._chunk = self._unread[:size], self._unread[size:], None
        verb = "MESSAGE" if last else "CHUNK"
        self._add(Item(verb, (verb, b""), octets=octets, chunk=True))
        return True

    def _add(self, item: Item) -> None:
        item.troubles = self._record.settled
        self._items.append(item)

    # -- hearing

    def hear(self) -> None:
        """Read the relay's replies, and hold each against what it answers."""
        if self.gone or self.closed:
            return
        octets, self.closed = read_all(self.sock)
        self._heard += octets
        self._interpret()
        replies = read_replies(self._heard)
        assert not replies.garbled, f"no reply: {self._heard[:200]!r}"
        self._heard = replies.unfinished
        for (code, _), wire in zip(replies.heard, replies.wires, strict=True):
            self._take(code, wire)
        if self.closed:
            assert self.talk.dismissed or self.half_closed, f"closed without a word; {self.waiting} was not answered"
            self.sock.close()

    def _take(self, code: int, wire: bytes) -> None:
        if not self.waiting:
            assert code == 421, f"{wire!r} answers nothing"
            self.talk.dismiss(wire)
            return
        item = self.waiting[0]
        self._answered += 1
        if item.chunk and item.clean:
            whole = self.talk.text_of(item)
            item.clean = b"\0" not in whole and not has_bare_newline(
                whole if item.verb == "MESSAGE" else whole.removesuffix(b"\r")
            )
        self.talk.hear(item, code, wire)
        self._interpret()
