"""The book as a reader leafs through it: chapters with headings, entries with general words in their blanks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.explain.fill import fill
from relay.explain.heard import spoken
from relay.explain.phrases import IN_ENGLISH
from relay.explain.reading import read_chapters, read_translation
from relay.languages import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from relay.explain.page import Page
    from relay.explain.phrases import Phrases


@dataclass(frozen=True, slots=True)
class Entry:
    """One page of the book, told without a mail at hand. `phrases` are in its own language."""

    page: Page
    phrases: Phrases
    title: str
    meaning: str
    advice: str
    more: str

    @classmethod
    def of(cls, page: Page, phrases: Phrases) -> Entry:
        """The page with general words in its blanks."""
        own = phrases if page.language == phrases.language else IN_ENGLISH
        title, meaning, advice, more = (
            fill(template, {}, own) for template in (page.title, page.meaning, page.advice, page.more)
        )
        return cls(page, own, title[:1].upper() + title[1:], meaning, advice, more)

    @property
    def examples(self) -> tuple[str, ...]:
        """Replies that this explains, as a server says them."""
        return tuple(map(spoken, self.page.examples))

    @property
    def who(self) -> str:
        """Whose move it is, in words."""
        return self.phrases.said(f"who-{self.page.who}")

    @property
    def again(self) -> str:
        """Whether sending again helps, in words."""
        return self.phrases.said(f"again-{self.page.retry}")


@dataclass(frozen=True, slots=True)
class Chapter:
    """Entries that belong together."""

    heading: str
    language: str  # of the heading
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Edition:
    """The whole book in one language."""

    phrases: Phrases
    chapters: tuple[Chapter, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries in their order."""
        return tuple(entry for chapter in self.chapters for entry in chapter.entries)


def read_edition(places: Iterable[Path], language: str) -> Edition:
    """The book of these folders and files, in this language where it is translated.

    Raises:
        BookError: the files hold mistakes.
        OSError: one cannot be read.
    """
    places = tuple(places)
    chapters = read_chapters(places)
    pages, headings, phrases = chapters.pages, {}, IN_ENGLISH
    if language != ENGLISH:
        translation = read_translation(places, language, pages)
        pages, phrases = tuple(map(translation.page, pages)), translation.fixed_words()
        headings = dict(translation.headings)
    files: dict[str, list[Entry]] = {}
    for page in pages:
        files.setdefault(chapters.files[page.id], []).append(Entry.of(page, phrases))
    return Edition(
        phrases,
        tuple(
            Chapter(
                headings.get(file, chapters.headings[file]), language if file in headings else ENGLISH, tuple(entries)
            )
            for file, entries in files.items()
        ),
    )
