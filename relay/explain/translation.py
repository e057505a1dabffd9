"""A translation of the book: its words in another language, each with a mark of the English that it was made of.

A translator's file holds `id: {of: ..., title: ..., meaning: ..., advice: ..., more: ...}` and no conditions; the fixed
phrases are entries with the one key `words`. Where nothing is said, or of an English that has since changed, the
English is shown.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from relay.explain.chapter import kind, nearest, parsed
from relay.explain.fill import BLANK, blanks
from relay.explain.phrases import PHRASES, Phrases

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relay.explain.chapter import Parse
    from relay.explain.page import Page

Words = Mapping[str, str]
PHRASES_FILE = "phrases.yaml"

_OF = "of"
_PHRASE_BLANK = re.compile(r"\{[a-z_]+\}")  # a phrase is never without its values: {server|...} has no place in it


def mark_of(english: Words) -> str:
    """A short mark of some English words: when they change, so does it."""
    joined = "\0".join(f"{key}\0{words}" for key, words in english.items())
    return f"en-{zlib.crc32(joined.encode()):08x}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One page or phrase in another language, made of the English that has the mark `of`."""

    of: str
    words: Words


@dataclass(frozen=True, slots=True)
class Translation:
    """All that is translated into one language, by id of the page, key of the phrase, name of the chapter's file."""

    language: str
    pages: Mapping[str, Entry]
    phrases: Mapping[str, Entry]
    headings: Mapping[str, str]

    def page(self, page: Page) -> Page:
        """The page in this language; in English where that is missing or stale."""
        entry = _fresh(self.pages, page.id, page.words)
        if entry is None:
            return page
        title, meaning, advice = (entry.words[key] for key in ("title", "meaning", "advice"))
        more = entry.words.get("more", "")
        return replace(page, title=title, meaning=meaning, advice=advice, more=more, language=self.language)

    def fixed_words(self) -> Phrases:
        """The phrases in this language."""
        return Phrases(self.language, {key: self._phrase(key) for key in PHRASES})

    def _phrase(self, key: str) -> str:
        entry = _fresh(self.phrases, key, ENGLISH_PHRASES[key])
        return entry.words["words"] if entry else PHRASES[key]


ENGLISH_PHRASES: Mapping[str, Words] = {key: {"words": words} for key, words in PHRASES.items()}


def translatable(pages: Iterable[Page], language: str) -> dict[str, Words]:
    """The English words of all pages that have to be translated, by id."""
    return {page.id: page.words for page in pages if page.language != language and not page.retired}


def missing(english: Mapping[str, Words], entries: Mapping[str, Entry]) -> tuple[str, ...]:
    """Ids of what nobody has translated."""
    return tuple(key for key in english if key not in entries)


def stale(english: Mapping[str, Words], entries: Mapping[str, Entry]) -> tuple[str, ...]:
    """Ids of what was translated from an English that has changed since."""
    return tuple(key for key, words in english.items() if key in entries and entries[key].of != mark_of(words))


def read_entries(
    name: str, text: str, english: Mapping[str, Words], parse: Parse | None = None
) -> tuple[dict[str, Entry], tuple[str, ...]]:
    """The entries of one file of a translation, and the mistakes in it, each as a complete sentence.

    Args:
        name: the file's name, with its language, for the messages.
        text: its content.
        english: the words of everything that can be translated here, by id.
        parse: what makes values of the content; else `parsed`.
    """
    given, broken = (parse or parsed)(name, text)
    if given is None:
        return {}, broken
    if not isinstance(given, dict):
        return {}, (f"{name}:1: found {kind(given)}, expected pages by their ids, each with 'of:' and its words",)
    problems = [f"{name}: {key}: {why}" for key, entry in given.items() for why in _mistakes(key, entry, english)]
    if problems:
        return {}, tuple(problems)
    return {key: Entry(entry[_OF], _words(entry)) for key, entry in given.items()}, ()


def _fresh(entries: Mapping[str, Entry], key: str, english: Words) -> Entry | None:
    entry = entries.get(key)
    return entry if entry and entry.of == mark_of(english) else None


def _words(entry: dict[str, str]) -> Words:
    return {
        key: words.strip() if key == "more" else " ".join(words.split()) for key, words in entry.items() if key != _OF
    }


def _mistakes(key: str, entry: Any, english: Mapping[str, Words]) -> list[str]:
    if key not in english:
        return [f"found an id that no page has, expected one of the book{nearest(str(key), english)}"]
    if not isinstance(entry, dict):
        return [f"found {kind(entry)}, expected 'of:' and {', '.join(english[key])}"]
    wrong = [
        f"{name}: found {kind(value)}, expected text" for name, value in entry.items() if not isinstance(value, str)
    ]
    if wrong or _OF not in entry:
        return wrong or ["found no 'of:', expected the mark of the English words"]
    return _differences(entry, english[key]) if entry[_OF] == mark_of(english[key]) else []


def _differences(entry: dict[str, str], english: Words) -> list[str]:
    """What a translation has otherwise than its English; only one that is not stale can be judged."""
    found, expected = set(entry) - {_OF}, set(english)
    wrong = [f"found {name!r}, expected only {', '.join(english)}" for name in sorted(found - expected)]
    wrong += [f"found no {name!r}, which the English has" for name in english if not entry.get(name, "").strip()]
    return wrong + [
        why for name in english if name in found for why in _strange_blanks(name, entry[name], english[name])
    ]


def _strange_blanks(name: str, words: str, english: str) -> list[str]:
    known = blanks(english)
    strange = sorted(blanks(words) - known)
    lost = (
        sorted(known - blanks(words)) if name == "words" else []
    )  # of a phrase none may be lost: "{server} said: ..."
    listed = ", ".join("{" + blank + "}" for blank in sorted(known)) or "none"
    left = (_PHRASE_BLANK if name == "words" else BLANK).sub("", words)
    return [
        *([f"{name}: found a brace that belongs to no placeholder"] if "{" in left or "}" in left else []),
        *(f"{name}: found {{{blank}}}, expected a placeholder of the English: {listed}" for blank in strange),
        *(f"{name}: found no {{{blank}}}, which the English has" for blank in lost),
    ]
