"""What can be proved of a book: that its pages are found, keep to the form, and are translated as they stand today."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from relay.explain.covered import covers
from relay.explain.heard import example
from relay.explain.reason import Reason, Who
from relay.explain.translation import ENGLISH_PHRASES, missing, stale, translatable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relay.explain.book import Book
    from relay.explain.page import Page
    from relay.explain.translation import Translation

_LONGEST_TITLE = 120  # characters
_LONGEST_PROSE = 260
_MOST_SENTENCES = 3  # two, and one that is a link
_NAMED = 5  # ids of what is missing in a translation

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SENTENCE_END = re.compile(r"[.!?](?= [A-Z]|$)")


def unreachable(book: Book) -> Iterator[str]:
    """Pages that an earlier one swallows: by their examples, or because every condition of theirs is one of its too."""
    asked = [page for page in book.pages if not page.retired]
    before: set[str] = set()
    for page in asked:
        yield from _examples_of_others(book, page, before)
        before.add(page.id)
    for index, page in enumerate(asked):
        for earlier in asked[:index]:
            if covers(earlier.when, page.when):
                yield f"page {page.id} is never reached: wherever it fits, {earlier.id} fits too, and comes before it"
                break


def form(page: Page) -> Iterator[str]:
    """Where a page does not keep to the form."""
    if not _ID.fullmatch(page.id):
        yield f"page {page.id}: the id is made of lower case letters, digits and single hyphens"
    if len(page.title) > _LONGEST_TITLE or page.title.endswith((".", "!")):
        yield f"page {page.id}: the title has at most {_LONGEST_TITLE} characters, and no full stop at its end"
    for name, prose in (("meaning", page.meaning), ("advice", page.advice)):
        if len(_SENTENCE_END.findall(prose)) > _MOST_SENTENCES or len(prose) > _LONGEST_PROSE:
            yield f"page {page.id}: {name} has at most two sentences and {_LONGEST_PROSE} characters"
        if not prose.endswith((".", "?", ")")):
            yield f"page {page.id}: {name} ends with a full stop"
    if not (page.examples or page.when.fault):
        yield f"page {page.id}: found no example; without one it cannot be proved that the page is ever reached"
    if page.who is Who.UNKNOWN and page.reason is not Reason.UNDEFINED:
        yield f"page {page.id}: a reason that is named has somebody whose move it is ('who:')"


def untold(pages: Iterable[Page], translation: Translation) -> Iterator[str]:
    """What a translation lacks, or says of an English that has changed since."""
    for what, english, entries in (
        ("pages", translatable(pages, translation.language), translation.pages),
        ("phrases", ENGLISH_PHRASES, translation.phrases),
    ):
        for state, ids in (("missing", missing(english, entries)), ("stale", stale(english, entries))):
            if ids:
                more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
                named = ", ".join(ids[:_NAMED])
                yield f"{translation.language}: {state} {len(ids)} of {len(english)} {what}: {named}{more}"


def _examples_of_others(book: Book, page: Page, before: set[str]) -> Iterator[str]:
    for written in page.examples:
        try:
            found = book.explain(example(written)).id
        except ValueError as error:
            yield f"page {page.id}: the context of the example {written!r} cannot be read: {error}"
            continue
        if found in before:
            yield f"page {page.id}: its example {written!r} is explained by {found}, which comes before it"
        elif found != page.id:
            yield (
                f"page {page.id}: its own conditions do not fit its example {written!r}; what they ask of phase, "
                f"server or circumstances, an example tells in brackets before the reply, as in [phase=rcpt login=no]"
            )
