"""What is kept of parsed files is the same as what parsing gives, is never stale, and is never needed."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import pytest

from relay.explain import Book, shipped_chapters
from relay.explain.chapter import parsed
from relay.explain.patterns import words_of_all
from relay.explain.reading import chapters_in
from relay.kept import Kept, cache_folder


def test_the_book_read_from_what_is_kept_is_the_same_book(tmp_path, monkeypatch):
    kept = Kept(tmp_path / "cache")
    read = partial(Book.read, shipped_chapters(), language="de", parse=kept.parsed, words_of=kept.words)
    first = read()
    monkeypatch.setattr("relay.kept.parsed", lambda name, _: pytest.fail(f"{name} is parsed again"))
    monkeypatch.setattr("relay.kept.words_of_all", lambda _: pytest.fail("the patterns are looked at again"))
    assert first.pages == read().pages == Book.read(shipped_chapters(), language="de").pages


def test_the_words_of_patterns_are_kept_for_these_patterns_alone(tmp_path):
    kept = Kept(tmp_path)
    for patterns in (("mailbox (full|over quota)", "."), ("mailbox (full|over quota)",), (), ("a\0b",)):
        assert kept.words(patterns) == kept.words(patterns) == words_of_all(patterns)


def test_patterns_that_are_not_understood_are_looked_at_each_time(tmp_path):
    assert Kept(tmp_path).words(("mailbox", "(unclosed")) is words_of_all(("mailbox", "(unclosed")) is None
    assert not list(tmp_path.iterdir())


def test_words_found_by_other_code_are_not_believed(tmp_path, monkeypatch):
    kept = Kept(tmp_path)
    kept.words(("mailbox",))
    (file,) = tmp_path.iterdir()
    file.write_text('[["other"]]')
    assert kept.words(("mailbox",)) == ({"other"},)  # so it is what is kept that was asked
    other = tmp_path / "literals.py"
    other.write_text("# finds other words")
    monkeypatch.setattr("relay.explain.literals.__file__", str(other))
    assert kept.words(("mailbox",)) == ({"mailbox"},)


@pytest.mark.parametrize("file", chapters_in([shipped_chapters()]), ids=lambda file: file.name)
def test_each_chapter_is_kept_as_it_is(tmp_path, file):
    text = file.read_text("utf-8")
    kept = Kept(tmp_path)
    assert kept.parsed(file.name, text) == kept.parsed(file.name, text) == parsed(file.name, text)


def test_another_text_is_parsed_anew(tmp_path):
    kept = Kept(tmp_path)
    assert kept.parsed("a.yaml", "a: 1") == ({"a": 1}, ())
    assert kept.parsed("a.yaml", "a: 2") == ({"a": 2}, ())


@pytest.mark.parametrize("text", ["421: a", "a: 2024-01-01", "a: [unclosed", "a: .nan"])
def test_what_would_come_back_otherwise_is_not_kept(tmp_path, text):
    assert Kept(tmp_path).parsed("a.yaml", text)[1] == parsed("a.yaml", text)[1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("octets", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_file_is_parsed_anew_and_mended(tmp_path, octets):
    kept = Kept(tmp_path)
    kept.parsed("a.yaml", "a: 1")
    (file,) = tmp_path.iterdir()
    file.write_bytes(octets)
    assert kept.parsed("a.yaml", "a: 1") == ({"a": 1}, ())
    assert file.read_bytes() == b'{"a":1}'


def test_where_nothing_can_be_kept_everything_is_parsed(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for folder in (None, tmp_path / "file" / "cache"):
        assert Kept(folder).parsed("a.yaml", "a: 1") == ({"a": 1}, ())


def test_what_has_not_been_wanted_for_long_is_removed(tmp_path):
    kept = Kept(tmp_path)
    kept.parsed("a.yaml", "a: 1")
    (old,) = tmp_path.iterdir()
    os.utime(old, (time.time() - 100 * 86_400,) * 2)
    kept.parsed("a.yaml", "a: 2")
    assert old not in set(tmp_path.iterdir()) and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"CACHE_DIRECTORY": "/var/cache/x:/var/cache/y", "HOME": "/home/anna"}, "/var/cache/x"),
        ({"XDG_CACHE_HOME": "/c", "HOME": "/home/anna"}, "/c/explaining-relay"),
        ({"HOME": "/home/anna"}, "/home/anna/.cache/explaining-relay"),
        ({"XDG_CACHE_HOME": "relative"}, None),
        ({}, None),
    ],
)
def test_where_it_is_kept(environment, expected):
    assert cache_folder(environment) == (Path(expected) if expected else None)
