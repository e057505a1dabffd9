"""A client that does what clients must not do, and believes no reply that is not well formed to the last octet."""

from __future__ import annotations

import re
import socket
import struct
from typing import TYPE_CHECKING, Any

from running_client import Answer, Client
from running_relay import wait_for

if TYPE_CHECKING:
    from running_relay import Relay

_LINE = re.compile(rb"([2-5]\d\d)([ -])([\x20-\x7e]*)\r\n")
_STATUS = re.compile(rb"[245]\.\d{1,3}\.\d{1,3} ")


def checked(octets: bytes) -> Answer:
    """One reply, after its grammar (RFC 5321 section 4.2) and, of a refusal, its explanation were looked at."""
    lines = octets.splitlines(keepends=True)
    found = [_LINE.fullmatch(line) for line in lines]
    assert all(found), octets
    assert all(len(line) <= 512 for line in lines), octets
    codes, separators, texts = zip(*(each.groups() for each in found), strict=True)
    assert len(set(codes)) == 1, octets
    assert separators == (b"-",) * (len(lines) - 1) + (b" ",), octets
    if codes[0][0] in b"45":
        _check_explanation(codes[0], texts)
    return Answer(int(codes[0]), octets.decode())


def _check_explanation(code: bytes, texts: tuple[bytes, ...]) -> None:
    heads = {found[0] if (found := _STATUS.match(text)) else b"" for text in texts}
    assert len(heads) == 1, texts
    status = heads.pop()
    assert not status or status[:1] == code[:1], texts
    assert len(texts) > 1, texts
    assert any(b"Whose move: " in text for text in texts), texts
    assert re.search(rb"\[ref [0-9A-Z]{6}\]$", texts[-1]), texts


def logged(relay: Relay, refusal: Answer) -> dict[str, Any]:
    """What the log says of a refusal, found by its reference."""
    ref = refusal.text.rpartition("[ref ")[2][:6]

    def find() -> dict[str, Any] | None:
        return next((event for event in relay.events("relay_failure") if event["ref"] == ref), None)

    return wait_for(find, f"the reference {ref} in the log")


class Attacker(Client):
    """A client whose `hear` is strict, and that can leave in every way a client can leave."""

    def hear(self) -> Answer:
        """Read one reply; silence or an end instead of it fails."""
        lines = [self._file.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(self._file.readline())
        return checked(b"".join(lines))

    def rest(self) -> tuple[Answer, ...]:
        """All replies until the relay closes."""
        answers = []
        while self._file.peek(1):
            answers.append(self.hear())
        return tuple(answers)

    def half_close(self) -> None:
        """Say that nothing more will be said; go on listening."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Vanish with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._file.close()
        self.sock.close()

    def ask_all(self, octets: bytes) -> tuple[Answer, ...]:
        """Say it all at once and close this side; everything that is answered until the relay closes too."""
        self.say(octets)
        self.half_close()
        return self.rest()
