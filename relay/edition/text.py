"""The book as plain text."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.edition.entries import Edition, Entry

_WIDTH = 78


def as_text(edition: Edition) -> Iterator[str]:
    """The lines of the whole book."""
    yield from (edition.phrases.said("book"), "", *_filled(edition.phrases.said("about")))
    for chapter in edition.chapters:
        yield from ("", "", "=" * _WIDTH, *_filled(chapter.heading), "=" * _WIDTH)
        for entry in chapter.entries:
            yield from ("", *entry_as_text(entry))


def entry_as_text(entry: Entry) -> Iterator[str]:
    """The lines of one page."""
    page, phrases = entry.page, entry.phrases
    title = textwrap.wrap(entry.title, _WIDTH)
    yield from (*title, "-" * max(map(len, title)))
    if page.retired:
        yield from _filled(phrases.said("retired", why=page.retired))
    yield from _filled(f"{phrases.said('whose-move')} {entry.who}")
    yield from _filled(f"{phrases.said('again')} {entry.again}")
    for prose in filter(None, (entry.meaning, entry.advice, entry.more)):
        yield from ("", *_filled(prose))
    if entry.examples:
        yield from ("", phrases.said("examples") + ":", *_examples(entry.examples))
    yield from ("", phrases.said("page", page=page.id, reason=page.reason))
    if page.source:
        yield phrases.said("source", source=page.source)


def _examples(examples: tuple[str, ...]) -> Iterator[str]:
    for written in examples:
        for line in written.splitlines():
            yield from textwrap.wrap(line, _WIDTH, initial_indent="  ", subsequent_indent="    ") or [""]


def _filled(prose: str) -> list[str]:
    return textwrap.wrap(prose, _WIDTH, break_long_words=False, break_on_hyphens=False)
