"""The upstream of the fuzzed dialogue: a strict reader of what the relay says, and a record of what was answered."""

from __future__ import annotations

import contextlib
import re
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fuzz_clock import read_all
from fuzz_oracle import has_bare_newline, read_message

if TYPE_CHECKING:
    import socket

Key = tuple[str, bytes]  # a command by its verb and by what makes it the only one of its kind


@dataclass(frozen=True, slots=True)
class Said:
    """One reply of the upstream to one command."""

    code: int
    wire: bytes


@dataclass(frozen=True, slots=True)
class Delivered:
    """One message that came to its end at the upstream."""

    mail: bytes
    recipients: frozenset[bytes]
    text: bytes


@dataclass(slots=True)
class Record:
    """All that the upstream has heard and said, over all its connections."""

    said: dict[Key, list[Said]] = field(default_factory=lambda: defaultdict(list))
    delivered: dict[bytes, list[Delivered]] = field(default_factory=lambda: defaultdict(list))
    troubles: int = 0  # lies told, connections lost, connections refused
    early: list[Said] = field(default_factory=list)  # replies that were said before anything was asked
    settled: int = 0  # how many of them the relay has had the time to see


_OF_THE_MODEL = ("CONNECT", "CHUNK", "MESSAGE", "OVERLONG")  # its own names for what is no command


def key_of(line: bytes) -> Key:
    """A command's key: MAIL and RCPT by their local part, others by the whole line."""
    verb, _, rest = line.partition(b" ")
    name = verb.upper().decode("latin-1")
    if name in ("MAIL", "RCPT"):
        return name, re.split(rb"[@> ]", rest.partition(b":")[2].strip().lstrip(b"<"))[0]
    if name == "AUTH":
        mechanism, _, initial = rest.strip().partition(b" ")
        return name, b" ".join(filter(None, (mechanism.upper(), initial.strip())))
    return (name if name not in _OF_THE_MODEL else "UNKNOWN"), rest


class UpstreamEnd:
    """The far end of one connection of the relay."""

    def __init__(self, sock: socket.socket, record: Record) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.over = False  # the relay has closed it, or we have
        self.owed: deque[Key] = deque([("CONNECT", b"")])
        self.half: tuple[bytes, Key | None, Said] | None = None  # what is still to be said of a reply begun
        self._record = record
        self._unread = b""
        self._mode = "line"
        self._mail = b""
        self._recipients: set[bytes] = set()
        self._chunk_left = 0
        self._last_chunk = False
        self._chunks: list[bytes] = []

    # -- hearing

    def hear(self) -> None:
        """Read what the relay has said."""
        if self.over:
            return
        octets, self.over = read_all(self.sock)
        self._unread += octets
        while self._next():
            pass
        if self.over:
            self.owed.clear()
            self.half = None
            self.sock.close()

    def _next(self) -> bool:
        if self._mode == "deaf":  # it has refused the message before its end, and hears no more
            return False
        if self._mode == "message":
            return self._hear_message()
        if self._mode == "chunk":
            return self._hear_chunk()
        if self.owed and self.owed[-1][0] in ("DATA", "AUTH"):
            return False  # what comes next depends on the answer
        line, end, rest = self._unread.partition(b"\r\n")
        if not end:
            return False
        assert not set(line) & set(b"\0\r\n"), f"a control octet in the command {line!r}"
        self._unread = rest
        self._hear_line(line)
        return True

    def _hear_line(self, line: bytes) -> None:
        key = ("AUTH", line) if self._mode == "login" else key_of(line)
        self._mode = "line"
        verb = key[0]
        if verb == "MAIL":
            self._mail, self._recipients, self._chunks = key[1], set(), []
        elif verb == "DATA":
            key = ("DATA", self._mail)
        elif verb == "BDAT":
            words = line.split()
            self._chunk_left, self._last_chunk, self._mode = int(words[1]), len(words) == 3, "chunk"
            return
        self.owed.append(key)

    def _hear_message(self) -> bool:
        message = read_message(self._unread)
        if not message.ended:
            return False
        self._unread = self._unread[message.used :]
        self._mode = "line"
        assert message.clean, f"a message that is not clean came through: {message}"
        self._came(message.text)
        return True

    def _hear_chunk(self) -> bool:
        if len(self._unread) < self._chunk_left:
            return False
        self._chunks.append(self._unread[: self._chunk_left])
        self._unread = self._unread[self._chunk_left :]
        self._mode = "line"
        if self._last_chunk:
            text = b"".join(self._chunks)
            assert b"\0" not in text and not has_bare_newline(text), (
                f"a message that is not clean came through: {text!r}"
            )
            self._came(text)
        else:
            self.owed.append(("CHUNK", b"%s-%d" % (self._mail, len(self._chunks))))
        return True

    def _came(self, text: bytes) -> None:
        self._record.delivered[self._mail].append(Delivered(self._mail, frozenset(self._recipients), text))
        self.owed.append(("MESSAGE", self._mail))

    # -- saying

    @property
    def streaming(self) -> bool:
        """Whether a message is on its way."""
        return self._mode == "message"

    def answer(self, said: Said, *, half: bool = False) -> None:
        """Reply to the oldest command; with none to answer, an early refusal of a message, or a lie."""
        self.hear()
        if self.over:
            return
        if self.half:
            self._finish()
        key = self.owed.popleft() if self.owed else None
        if key is None and self.streaming and said.code >= 400:
            key, self._mode = ("MESSAGE", self._mail), "deaf"
        if half:
            at = len(said.wire) // 2
            self.half = (said.wire[at:], key, said)
            self._send(said.wire[:at])
            self._record.troubles += key is None
        else:
            self._say(said.wire, key, said)

    def _finish(self) -> None:
        assert self.half is not None
        (rest, key, said), self.half = self.half, None
        self._say(rest, key, said)

    def _say(self, octets: bytes, key: Key | None, said: Said) -> None:
        self._send(octets)
        if key is None or not fits(key[0], said.code):
            self._record.troubles += 1
            self._record.early += [said] if key is None else []
            return
        self._record.said[key].append(said)
        if said.code == 354:
            self._mode = "message"
        elif said.code == 334:
            self._mode = "login"
        elif key[0] == "RCPT" and said.code < 400:
            self._recipients.add(key[1])
        if said.code == 421 or key[0] == "QUIT":
            self._record.troubles += said.code == 421
        self.hear()

    def lie(self, octets: bytes) -> None:
        """Say what no server may say."""
        self.hear()
        if self.half:
            self._finish()
        self._record.troubles += 1
        self._send(octets)

    def close(self) -> None:
        """Leave without a word."""
        self.hear()
        if not self.over:
            self._record.troubles += 1
            self.over = True
            self.owed.clear()
            self.half = None
            self.sock.close()

    def _send(self, octets: bytes) -> None:
        with contextlib.suppress(OSError):
            self.sock.send(octets)


def fits(verb: str, code: int) -> bool:
    """Whether this code may answer this command at all (RFC 5321 section 4.3.2)."""
    if code >= 400:
        return True
    return code // 100 == {"DATA": 3}.get(verb, 2) or (verb == "AUTH" and code == 334)
