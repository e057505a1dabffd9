"""The literal words that a pattern cannot match without: they are looked for first, all of the book's at once."""

from __future__ import annotations

import re
import re._constants as kind  # Python's own parser of patterns: RE2's syntax is, but for rarities, a part of Python's
import re._parser as parser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHORTEST = 2  # a single letter is in every text

Words = frozenset[str]


def words_of(pattern: str) -> Words:
    """Words in small letters, at least one of which is in the small letters of every text that matches.

    Empty where nothing of the kind can be said: such a pattern must be tried on every text.
    """
    try:
        parsed = parser.parse(pattern)
    except re.error:  # a rarity of RE2; the pattern itself is judged elsewhere
        return frozenset()
    return _best(_of_sequence(parsed))


def _best(choices: Iterable[Words]) -> Words:
    """The most telling of several sets of which each is required: long words, and few."""
    fit = [words for words in choices if words and min(map(len, words)) >= _SHORTEST]
    return max(fit, key=lambda words: (min(map(len, words)), -len(words)), default=frozenset())


def _of_sequence(parts: Iterable[tuple[Any, Any]]) -> list[Words]:
    """What each part of a sequence requires; letters in a row make one word."""
    found: list[Words] = []
    run = ""
    for operation, argument in parts:
        if operation is kind.LITERAL:
            run += chr(argument).lower()
            continue
        found.append(frozenset({run}))
        run = ""
        found.extend(_of_part(operation, argument))
    return [*found, frozenset({run})]


def _of_part(operation: Any, argument: Any) -> list[Words]:
    if operation is kind.SUBPATTERN:
        return _of_sequence(argument[-1])
    if operation in (kind.MAX_REPEAT, kind.MIN_REPEAT) and argument[0] > 0:
        return _of_sequence(argument[2])
    if operation is kind.BRANCH:
        branches = [_best(_of_sequence(branch)) for branch in argument[1]]
        return [frozenset().union(*branches)] if all(branches) else []
    return []
