"""All text patterns of the book asked of one text. Home of re2: linear time, whatever a server says.

One pass finds which of the patterns' literal words are in the text; only the patterns whose words are there are asked,
and each only when its page comes into question. (A single automaton of all patterns, re2.Set, is as fast on a wording
that it has met, but takes 5 to 80 ms for a new one, and grows by 100 MB in some hundred of them.)
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import ahocorasick
import re2

from relay.explain.literals import words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from relay.explain.literals import Words

    WordsOf = Callable[[tuple[str, ...]], tuple[Words, ...] | None]

_MEMORY = 1 << 20  # octets the automaton of one pattern may grow to before it starts anew
_COMPILED = 256  # single patterns that are kept compiled: those with names in them, and those of host names


class Text:
    """One text that the patterns are asked of.

    `possible` are the numbers of the patterns that may be found in it; no other is.
    """

    __slots__ = ("_octets", "_patterns", "possible")

    def __init__(self, patterns: Patterns, text: str) -> None:
        self.possible = patterns.possible_in(text)
        self._patterns = patterns
        self._octets = text.encode()

    def says(self, numbers: tuple[int, ...]) -> bool:
        """Whether one of some patterns, those of one page, is found in it."""
        return not self.possible.isdisjoint(numbers) and self._patterns.found(numbers, self._octets)


class PatternError(ValueError):
    """A pattern cannot be understood; `complaint` says of each why."""


def words_of_all(patterns: tuple[str, ...]) -> tuple[Words, ...] | None:
    """The words of each pattern; None if RE2 does not understand one of them."""
    return None if any(map(complaint, patterns)) else tuple(map(words_of, patterns))


class Patterns:
    """An ordered collection of patterns, without regard to case; `words_of` is `words_of_all` or remembers it."""

    def __init__(self, patterns: Iterable[str], words_of: WordsOf = words_of_all) -> None:
        self._patterns = tuple(patterns)
        self._words_of = words_of
        self._asked: dict[tuple[int, ...], re2.Filter] = {}  # of the pages that replies have asked for

    def text(self, text: str) -> Text:
        """A text that they can be asked of."""
        return Text(self, text)

    def possible_in(self, text: str) -> set[int]:
        """The numbers of the patterns that may be found in the text; no other is."""
        words, possible = self._words
        found = set(possible)
        for _, numbers in words.iter(text.lower()) if len(words) else ():
            found.update(numbers)
        return found

    def found(self, numbers: tuple[int, ...], octets: bytes) -> bool:
        """Whether one of some patterns, those of one page, is found in the text (in UTF-8)."""
        asked = self._asked.get(numbers)
        if asked is None:
            asked = self._asked[numbers] = re2.Filter()
            for number in numbers:
                asked.Add(self._patterns[number], _options())
            asked.Compile()
        return asked.Match(octets) is not None

    def naming(self, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """Those of some patterns that have named groups."""
        return tuple(number for number in numbers if "(?P<" in self._patterns[number])

    def captured(self, number: int, text: str) -> Mapping[str, str]:
        """What the named groups of one pattern hold."""
        found = _compiled(self._patterns[number]).search(text)
        return {name: value for name, value in found.groupdict().items() if value} if found else {}

    def prepare(self) -> None:
        """Get the words of all patterns ready, which otherwise happens at the first look-up.

        Raises:
            PatternError: one of them cannot be understood.
        """
        _ = self._words

    @cached_property
    def _words(self) -> tuple[ahocorasick.Automaton, tuple[int, ...]]:
        """An automaton of all words, each with the patterns that need it or another; and the patterns without words."""
        words_of_each = self._words_of(self._patterns)
        if words_of_each is None:
            raise PatternError("a pattern cannot be understood")
        needed: dict[str, list[int]] = {}
        always = []
        for number, words in enumerate(words_of_each):
            for word in words:
                needed.setdefault(word, []).append(number)
            if not words:
                always.append(number)
        automaton = ahocorasick.Automaton()
        for word, numbers in needed.items():
            automaton.add_word(word, tuple(numbers))
        automaton.make_automaton()
        return automaton, tuple(always)


def found_in(pattern: str, text: str) -> bool:
    """Whether one pattern occurs in the text, without regard to case."""
    return _compiled(pattern).search(text) is not None


def complaint(pattern: str) -> str:
    """Why RE2 does not understand a pattern; empty if it does."""
    try:
        re2.compile(pattern, _options())
    except re2.error as error:
        reason = error.args[0]
        return f"pattern {pattern!r}: {reason.decode() if isinstance(reason, bytes) else reason}"
    return ""


@lru_cache(_COMPILED)
def _compiled(pattern: str) -> re2._Regexp:
    return re2.compile(pattern, _options())


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _MEMORY
    return options
