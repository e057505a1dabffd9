"""The literal words of patterns: a pattern whose words are missing is never one that would have matched."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from relay.explain import Book, shipped_chapters
from relay.explain.heard import example
from relay.explain.literals import words_of
from relay.explain.patterns import Patterns, found_in
from relay.explain.words import clean, straight_quotes, without_names

BOOK = Book.read(shipped_chapters())
SHIPPED = tuple(dict.fromkeys(pattern for page in BOOK.pages for pattern in (*page.when.text, *page.when.not_text)))


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("mailbox is full", {"mailbox is full"}),
        ("over ?quota", {"quota"}),
        ("User (is )?Unknown", {"unknown"}),
        ("(gesperrt|blocked)", {"gesperrt", "blocked"}),
        ("(timed out|timeout)", {"time"}),  # what both begin with
        ("(quota )+exceeded", {"exceeded"}),
        ("(?:full){2}", {"full"}),
        ("(full)*", set()),
        (r"\d+ (kb|mb)", {"kb", "mb"}),
        ("a.b", set()),
        ("(full|.*)", set()),
        (r"spam\z", set()),  # RE2 knows it, Python's parser does not
    ],
)
def test_words(pattern, words):
    assert words_of(pattern) == words


PIECE = st.sampled_from(
    ["a", "B", "full", "over", " ", ".", "x?", "(ab|cd)", "(ef)?", "[gh]", "(ij)+", "k{2,3}", r"\b", r"\w", "ä"]
)
TEXT = st.text("abcdefghijkKBäfulover x", max_size=40)


@given(st.lists(PIECE, min_size=1, max_size=6).map("".join), TEXT)
def test_whatever_matches_holds_one_of_the_words(pattern, text):
    words = words_of(pattern)
    if words and found_in(pattern, text):
        assert any(word in text.lower() for word in words)


def test_no_pattern_of_the_book_is_passed_over():
    patterns, every = Patterns(SHIPPED), re2.Filter()
    options = re2.Options()
    options.case_sensitive = False
    for pattern in SHIPPED:
        every.Add(pattern, options)
    every.Compile()
    texts = {straight_quotes(clean(example(each).reply.text)) for page in BOOK.pages for each in page.examples}
    for text in {*texts, *map(without_names, texts), *(text.upper() for text in texts)}:
        assert set(every.Match(text) or ()) <= patterns.possible_in(text), text


def test_a_pattern_without_words_is_tried_on_every_text():
    patterns = Patterns(["[0-9]+", "full"])
    assert patterns.possible_in("nothing") == {0}
    assert patterns.possible_in("FULL") == {0, 1}
    assert Patterns([]).possible_in("nothing") == set()
