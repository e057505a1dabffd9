"""Every short message in every cut, through the relay's scanner and on to a strict and to a lenient next server."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fuzz_oracle import Message, ends_for_somebody, has_bare_newline, mended, read_message

from relay.smtp.message import MessageScanner, NewlineGuard

if TYPE_CHECKING:
    from collections.abc import Iterator

ALPHABET = (b"\r", b"\n", b".", b"\0", b"a")
_TAIL = b"\r\n.\r\nNOOP\r\n"  # ends whatever has not ended, with the next command behind it


@dataclass(slots=True)
class Count:
    """How much was tried, and what differed."""

    strings: int = 0
    runs: int = 0
    differences: int = 0
    first: str = ""

    def differs(self, why: str) -> None:
        self.differences += 1
        self.first = self.first or why


def strings_of(length: int) -> Iterator[bytes]:
    """All strings of that length over the alphabet."""
    return map(b"".join, itertools.product(ALPHABET, repeat=length))


def every_cut(length: int) -> list[tuple[int, ...]]:
    """The places of each way to cut so many octets."""
    inner = range(1, length)
    return [cut for count in range(length) for cut in itertools.combinations(inner, count)] or [()]


def some_cuts(length: int) -> list[tuple[int, ...]]:
    """Uncut, octet by octet, in the middle, behind the first and before the last octet."""
    return [(), tuple(range(1, length)), (length // 2,), (1, length - 1)]


def compare(length: int, cuts: list[tuple[int, ...]], count: Count) -> None:
    """Try all strings of this length in these cuts, with both policies."""
    for string in strings_of(length):
        count.strings += 1
        whole = string + _TAIL
        message = read_message(whole)
        for cut in cuts:
            pieces = _pieces(string, cut)
            for normalize in (False, True):
                count.runs += 1
                why = difference(pieces, whole, message, normalize=normalize)
                if why:
                    count.differs(f"{pieces} normalize={normalize}: {why}")
            if guard_differs(pieces):
                count.differs(f"{pieces}: the guard of BDAT")


def difference(pieces: list[bytes], whole: bytes, message: Message, *, normalize: bool) -> str:
    """What is wrong with the scanner's work on these pieces and the rest of `whole`; empty if nothing is."""
    scanner = MessageScanner(normalize=normalize)
    passed = rest = b""
    fed = 0
    for piece in (*pieces, whole[sum(map(len, pieces)) :]):
        if scanner.ended:
            rest += piece
            continue
        passed += scanner.feed(piece)
        fed += len(piece)
        if scanner.ended != (message.ended and fed >= message.used):
            return f"ended is {scanner.ended} after {fed} octets"
        if not scanner.ended and (ends_for_somebody(passed) or has_bare_newline(passed)):
            return f"an end or a bare newline went up too early: {passed!r}"
    if scanner.rest + rest != whole[message.used :]:
        return f"behind the end it sees {scanner.rest + rest!r}"
    return _compared(scanner, passed, message, normalize=normalize)


def _compared(scanner: MessageScanner, passed: bytes, message: Message, *, normalize: bool) -> str:
    if message.nul or (message.bare and not normalize):
        return "" if scanner.fault and not ends_for_somebody(passed) else "what must be refused went up"
    if scanner.fault:
        return f"refused for {scanner.fault}"
    if scanner.size != len(message.text):
        return f"counted {scanner.size} octets of {len(message.text)}"
    again = read_message(passed)  # the next server, strict
    if not again.ended or again.used != len(passed) or not again.clean:
        return f"the next server does not see one clean message in {passed!r}"
    if again.text != (mended(message.text) if normalize else message.text):
        return f"the next server reads {again.text!r}"
    return ""


def guard_differs(pieces: list[bytes]) -> bool:
    """Whether the guard over the chunks of BDAT overlooks or invents something."""
    guard = NewlineGuard()
    for index, piece in enumerate(pieces):
        guard.look(piece, final=index == len(pieces) - 1)
    whole = b"".join(pieces)
    return (guard.fault is not None) != (has_bare_newline(whole) or b"\0" in whole)


def _pieces(string: bytes, cut: tuple[int, ...]) -> list[bytes]:
    places = (0, *cut, len(string))
    return [string[begin:end] for begin, end in itertools.pairwise(places)]


def run_all() -> Count:
    """The long run: every string up to length 8; every cut up to length 6, some beyond."""
    count = Count()
    for length in range(1, 9):
        compare(length, every_cut(length) if length <= 6 else some_cuts(length), count)
    return count
