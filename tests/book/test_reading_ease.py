"""How hard the pages are to read: letters a word and words a sentence, as the school grade that they ask for.

The measure is the Automated Readability Index, which needs no dictionary of syllables. Newspapers ask for 10 to 12.
What a page fills in is measured with the general words that stand for it, a link as two words.
"""

from __future__ import annotations

import re

import pytest
import textstat

from relay.explain import Book, shipped_chapters
from relay.explain.fill import fill
from relay.explain.phrases import IN_ENGLISH

HARDEST = 12  # the grade that meaning and advice together may ask for

PAGES = [page for page in Book.read(shipped_chapters()).pages if not page.retired]
LINK = re.compile(r"https?://\S+")


def grade(words):
    return textstat.automated_readability_index(LINK.sub("this link", fill(words, {}, IN_ENGLISH)))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.id)
def test_a_page_is_plain_enough(page):
    found = grade(f"{page.meaning} {page.advice}")
    assert found <= HARDEST, f"grade {found:.1f}, at most {HARDEST}: take out a long word, or make two sentences of one"
