"""The form of a reply: its words without what changes from mail to mail, so that all of one form are counted as one.

A form can be turned into a pattern that finds its like, and into an example that names nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from relay.explain.words import clean, cut, straight_quotes

_LONGEST_PATTERN = 90  # characters: enough to be told from others, short enough to find its like
_LONGEST_EXAMPLE = 300


class _Part(NamedTuple):
    """What changes from mail to mail: how it looks, what finds it (RE2), and what stands for it in an example."""

    form: str
    pattern: str
    sample: str


_PARTS = {
    "link": _Part(r"(?<=://)[^\s<>\"')\]]+", r"\S+", "host.example.com/"),
    "address": _Part(r"[^\s<>()\"',;:\[\]/=]+@[a-z0-9*.-]*[a-z0-9*]", r"\S+", "someone@example.com"),
    "IP": _Part(
        r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)|(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{1,4}",
        r"\S+",
        "192.0.2.1",
    ),
    "host": _Part(r"\b(?:[a-z0-9_-]+\.)+[a-z]{2,24}\b", r"\S+", "mx.example.com"),
    "id": _Part(r"\b(?=[\w-]*\d)(?=[\w-]*[a-z])[a-z0-9_-]{8,}\b|\b[0-9a-f-]{16,}\b", r"\S+", "4fb4d7f45d1c"),
    "number": _Part(r"\d+", r"\d+", "17"),
}
_ANY = re.compile("|".join(f"(?P<{name}>{part.form})" for name, part in _PARTS.items()), re.IGNORECASE)
_MEANS_MORE = re.compile(r"([\\.^$|?*+()\[\]{}])")  # in a pattern


@dataclass(frozen=True, slots=True)
class Form:
    """The words of a reply in pieces: (words, "") for what stays, ("", kind) for what changes."""

    pieces: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, text: str) -> Form:
        """The form of a reply's words."""
        text = straight_quotes(clean(text))
        pieces, end = [], 0
        for found in _ANY.finditer(text):
            pieces += [(text[end : found.start()], ""), ("", str(found.lastgroup))]
            end = found.end()
        return cls(tuple(piece for piece in (*pieces, (text[end:], "")) if any(piece)))

    def __str__(self) -> str:
        return "".join(words or f"<{kind}>" for words, kind in self.pieces)

    @property
    def pattern(self) -> str:
        """RE2 that finds replies of this form; empty if no words stay that could be found."""
        pieces = list(self.pieces)
        while pieces and not re.search(r"\w", pieces[0][0]):
            del pieces[0]
        found = ""
        for words, kind in pieces:
            piece = _MEANS_MORE.sub(r"\\\1", words) if words else _PARTS[kind].pattern
            if len(found) + len(piece) > _LONGEST_PATTERN:
                return (found + _whole_words(piece, _LONGEST_PATTERN - len(found))).rstrip()
            found += piece
        return found.strip()

    @property
    def example(self) -> str:
        """Words of this form that name nobody."""
        return cut("".join(words or _PARTS[kind].sample for words, kind in self.pieces), _LONGEST_EXAMPLE)


def _whole_words(piece: str, room: int) -> str:
    return piece[: room + 1].rpartition(" ")[0]
