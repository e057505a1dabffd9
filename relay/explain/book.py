"""The book: pages in order. The first that matches explains a failure, and the last always matches."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from relay.explain.chapter import BookError
from relay.explain.conditions import Moment, asks_circumstances, asks_nothing, holds, possible
from relay.explain.fill import blanks, fill, values_for
from relay.explain.page import Explanation, Page
from relay.explain.patterns import PatternError, Patterns, complaint, words_of_all
from relay.explain.phrases import IN_ENGLISH
from relay.explain.reading import read_chapters, read_translation
from relay.explain.servers import Servers
from relay.explain.words import clean, straight_quotes, without_names
from relay.languages import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from relay.explain.chapter import Parse
    from relay.explain.failure import Failure
    from relay.explain.patterns import WordsOf
    from relay.explain.phrases import Phrases
    from relay.explain.servers import Server

_LOOKED_AT = 2_048  # characters of a reply that are looked at: what is decisive comes early, and time is bounded
_MOMENTS = 4_096  # combinations of phase, code, status and fault that are remembered
_WORDINGS = 256  # each at its moment: many refusals are worded alike, but for the names in them

# qmail, Cisco and others write the enhanced code inside their words: "sorry, no mailbox here (#5.1.1)".
_STATUS_IN_WORDS = re.compile(r"#([245]\.\d{1,3}\.\d{1,3})\b")


class Book:
    """Pages in the order in which they are asked. Immutable; one book serves every thread."""

    def __init__(
        self,
        pages: Iterable[Page],
        servers: Iterable[Server] = (),
        phrases: Phrases = IN_ENGLISH,
        words_of: WordsOf = words_of_all,
    ) -> None:
        """Index the pages. `phrases` are the fixed words of their language; what is not in that is in English.

        Raises:
            BookError: an id occurs twice, a pattern or server is unknown, or no page matches always.
        """
        self.pages = tuple(pages)
        self._by_id = {page.id: page for page in self.pages}
        self._asked = tuple(page for page in self.pages if not page.retired)
        self._servers = Servers(servers)
        self._phrases = phrases
        numbers: dict[str, int] = {}
        self._text = tuple(_numbered(page.when.text, numbers) for page in self._asked)
        self._not_text = tuple(_numbered(page.when.not_text, numbers) for page in self._asked)
        self._patterns = Patterns(numbers, words_of)
        self._naming = tuple(map(self._patterns.naming, self._text))
        self._pages_of = _inverted(self._text, len(numbers))
        self._circumstances = tuple(_asks_more(page) for page in self._asked)
        self._blanks = {page.id: blanks(f"{page.title}{page.meaning}{page.advice}{page.more}") for page in self.pages}
        self._wordless = lru_cache(_MOMENTS)(self._find_wordless)
        self._worded = lru_cache(_WORDINGS)(self._find_worded)
        self._check()

    @classmethod
    def read(
        cls,
        *paths: Path | str,
        language: str = ENGLISH,
        parse: Parse | None = None,
        words_of: WordsOf = words_of_all,
    ) -> Book:
        """Read chapters.

        Args:
            paths: folders of `*.yaml` files, or single files. What is given first is asked first, so that an
                operator's own pages come before the shipped ones; of a folder, files in the order of their names.
            language: of the words, where they are translated: from the folder of that name beside the chapters.
            parse: what makes values of a file's YAML; `relay.kept` has one that remembers.
            words_of: what finds the words of the patterns; the same.

        Raises:
            BookError: the files hold mistakes; the message names every one by file, line, page and key.
            OSError: a file cannot be read.
        """
        chapters = read_chapters(paths, parse)
        pages, phrases = chapters.pages, IN_ENGLISH
        if language != ENGLISH:
            translation = read_translation(paths, language, pages, parse)
            pages, phrases = tuple(map(translation.page, pages)), translation.fixed_words()
        book = cls(pages, chapters.servers, phrases, words_of)
        book.compile()
        return book

    def page(self, page_id: str) -> Page | None:
        """The page of that id, retired ones too, or None."""
        return self._by_id.get(page_id)

    def explain(self, failure: Failure) -> Explanation:
        """The explanation of a failure: the first page whose conditions all hold, filled in."""
        text = straight_quotes(clean(failure.reply.text))[:_LOOKED_AT]
        index = self._first(failure, text)
        captured: dict[str, str] = {}
        for number in self._naming[index]:
            captured = {**self._patterns.captured(number, text), **captured}
        page = self._asked[index]
        phrases = self._phrases if page.language == self._phrases.language else IN_ENGLISH
        values = values_for(self._blanks[page.id], captured, failure, text, phrases)
        title, meaning, advice, more = (
            fill(template, values, phrases) for template in (page.title, page.meaning, page.advice, page.more)
        )
        return Explanation(page, failure, title, meaning, advice, more, phrases)

    def _first(self, failure: Failure, text: str) -> int:
        reply = failure.reply
        moment = Moment(reply.phase, reply.code, reply.status or _status_in_words(reply.code, text), reply.fault)
        words = without_names(text) if reply.fault is None else ""
        for index in self._worded(words, moment):
            if not self._circumstances[index] or self._holds(index, failure, text):
                return index
        return len(self._asked) - 1

    def _find_worded(self, words: str, moment: Moment) -> tuple[int, ...]:
        """The pages that fit these words and this moment, in order, up to the first that asks for nothing more."""
        said = self._patterns.text(words)
        worded = {index for number in said.possible for index in self._pages_of[number]}
        found = []
        for index in sorted(worded.union(self._wordless(moment))):  # what is cheap to ask is asked first
            if (
                not self._text[index] or (possible(self._asked[index].when, moment) and said.says(self._text[index]))
            ) and not said.says(self._not_text[index]):
                found.append(index)
                if not self._circumstances[index]:
                    break
        return tuple(found)

    def _find_wordless(self, moment: Moment) -> tuple[int, ...]:
        """The pages that ask for no words and fit this moment."""
        return tuple(
            index for index, page in enumerate(self._asked) if not page.when.text and possible(page.when, moment)
        )

    def _holds(self, index: int, failure: Failure, text: str) -> bool:
        when = self._asked[index].when
        return holds(when, failure) and self._servers.fit(when, failure.upstream, text)

    def _check(self) -> None:
        problems = [f"page id {page_id!r} occurs twice; ids are unique" for page_id in _twice(self.pages)]
        if not self._asked or not asks_nothing(self._asked[-1].when):
            problems.append("the last page must have no 'when:', so that every failure finds a page")
        for page in self.pages:
            problems += [f"page {page.id}: {why}" for why in self._servers.unknown(page.when.server)]
            problems += [f"page {page.id}: {why}" for why in filter(None, map(complaint, page.when.upstream))]
        if problems:
            raise BookError("\n".join(problems))

    def compile(self) -> None:
        """Look at the patterns, which otherwise happens at the first look-up.

        Raises:
            BookError: a pattern cannot be understood; the message names every page that holds one.
        """
        try:
            self._patterns.prepare()
        except PatternError:
            problems = [
                f"page {page.id}: {why}"
                for page in self.pages
                for why in filter(None, map(complaint, (*page.when.text, *page.when.not_text)))
            ]
            raise BookError("\n".join(problems)) from None


def _numbered(patterns: tuple[str, ...], numbers: dict[str, int]) -> tuple[int, ...]:
    return tuple(numbers.setdefault(pattern, len(numbers)) for pattern in patterns)


def _inverted(numbers_of_pages: tuple[tuple[int, ...], ...], count: int) -> tuple[tuple[int, ...], ...]:
    pages_of: list[list[int]] = [[] for _ in range(count)]
    for index, numbers in enumerate(numbers_of_pages):
        for number in numbers:
            pages_of[number].append(index)
    return tuple(map(tuple, pages_of))


def _asks_more(page: Page) -> bool:
    return asks_circumstances(page.when) or bool(page.when.server or page.when.upstream)


def _status_in_words(code: int, text: str) -> str | None:
    found = _STATUS_IN_WORDS.search(text)
    return found[1] if found and (code == 0 or found[1][0] == str(code)[0]) else None


def _twice(pages: tuple[Page, ...]) -> list[str]:
    return [page_id for page_id, times in Counter(page.id for page in pages).items() if times > 1]
