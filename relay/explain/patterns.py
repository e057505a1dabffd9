"""All text patterns of the book matched in one pass. Home of re2: linear time, whatever a server says."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import re2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


_MEMORY = 256 << 20  # octets the automaton of all patterns may grow to before it starts anew; in use it stays far below


class Patterns:
    """An ordered collection of patterns, without regard to case."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(patterns)

    def matching(self, text: str) -> list[int]:
        """The numbers of the patterns found anywhere in the text."""
        if not self._patterns:
            return []
        return self._all.Match(text) or []  # re2 has no types, and answers None where nothing matches

    def captured(self, number: int, text: str) -> Mapping[str, str]:
        """What the named groups of one pattern hold; empty if it has none."""
        if "(?P<" not in self._patterns[number]:
            return {}
        found = _compiled(self._patterns[number]).search(text)
        return {name: value for name, value in found.groupdict().items() if value} if found else {}

    def compile(self) -> None:
        """Compile all patterns now.

        Raises:
            ValueError: one of them cannot be understood; `complaint` says why.
        """
        try:
            _ = self._all
        except re2.error as error:
            raise ValueError(str(error)) from None

    @cached_property
    def _all(self) -> re2.Set:
        options = _options()
        options.max_mem = _MEMORY
        found = re2.Set.SearchSet(options)
        for pattern in self._patterns:
            found.Add(pattern)
        found.Compile()
        return found


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


@lru_cache(256)
def _compiled(pattern: str) -> re2._Regexp:
    return re2.compile(pattern, _options())


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    return options
