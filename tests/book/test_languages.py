"""Proofs of the translations: made of today's English, with its placeholders, and short enough for a reply."""

from __future__ import annotations

import re

import pytest

from relay.explain import Book, Failure, Style, render, shipped_chapters
from relay.explain.heard import example
from relay.explain.reading import read_chapters, read_translation
from relay.explain.translation import ENGLISH_PHRASES, missing, stale, translatable
from relay.explain.words import fold
from relay.languages import ENGLISH, LANGUAGES
from relay.smtp import Fault, Phase, reply_for

COMPLETE = ("de", "fr", "es")  # languages of which no page may be missing

CHAPTERS = read_chapters([shipped_chapters()])
TRANSLATIONS = {
    language: read_translation([shipped_chapters()], language, CHAPTERS.pages)
    for language in LANGUAGES
    if language != ENGLISH
}
BOOKS = {language: Book.read(shipped_chapters(), language=language) for language in TRANSLATIONS}
TRANSLATED = [(language, page) for language, book in BOOKS.items() for page in book.pages if page.language == language]
BLANK = re.compile(r"\{[a-z_]+(?:\|[^{}\[\]]+)?\}")
LINE = re.compile(rb"\d{3}[ -][\x20-\x7e]*\Z")


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_no_page_is_stale(language):
    assert not stale(translatable(CHAPTERS.pages, language), TRANSLATIONS[language].pages), how_to(language)


@pytest.mark.parametrize("language", COMPLETE)
def test_no_page_is_missing(language):
    assert not missing(translatable(CHAPTERS.pages, language), TRANSLATIONS[language].pages), how_to(language)


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_all_phrases_are_translated(language):
    phrases = TRANSLATIONS[language].phrases
    assert not (*missing(ENGLISH_PHRASES, phrases), *stale(ENGLISH_PHRASES, phrases)), how_to(language)


def how_to(language):
    return f"relay book --untranslated {language} prints what is to be done"


def test_each_language_has_its_folder_and_each_folder_its_language():
    folders = {path.name for path in shipped_chapters().iterdir() if path.is_dir()}
    assert folders == set(TRANSLATIONS)


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_page_stands_in_the_chapter_where_its_english_does(language):
    for file in (shipped_chapters() / language).glob("[0-9]*.yaml"):
        ids = re.findall(r"^([a-z0-9-]+):", file.read_text("utf-8"), re.MULTILINE)
        assert {CHAPTERS.files[page] for page in ids} == {file.name}, file


@pytest.mark.parametrize(("language", "page"), TRANSLATED, ids=lambda value: getattr(value, "id", value))
def test_a_translated_page_keeps_to_the_form(language, page):
    assert len(page.title) <= 120 and not page.title.endswith((".", "!"))
    for prose in (page.meaning, page.advice):
        assert prose.endswith((".", "?", ")", '"', "»"))
        assert len(prose) <= 320
    words = page.title + page.meaning + page.advice + page.more
    assert words.count("{") == words.count("}") == len(BLANK.findall(words))
    assert fold(words, language).count("?") == words.replace("¿", "").count("?"), "a letter without ASCII spelling"


@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize(("language", "page"), TRANSLATED, ids=lambda value: getattr(value, "id", value))
def test_a_translated_page_makes_a_well_formed_reply(language, page, style):
    failures = [example(written) for written in page.examples]
    phases = page.when.phase or (Phase.RCPT,)
    failures += [Failure(reply_for(fault, phases[0], "mx.b.test:25"), "mx.b.test") for fault in page.when.fault]
    for failure in failures:
        explanation = BOOKS[language].explain(failure)
        assert explanation.id == page.id
        wire = render(explanation, style=style, ref="7K3QF2")
        lines = wire.split(b"\r\n")
        assert lines.pop() == b""
        assert all(LINE.match(line) and len(line) <= 510 for line in lines)
        assert len(wire) <= 1_300 and len(lines) <= 16
        assert lines[-1].endswith(b"7K3QF2]")


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("language", TRANSLATIONS)
def test_each_fault_can_be_told(language, fault):
    phrases = TRANSLATIONS[language].fixed_words()
    said = phrases.seen(fault, reply_for(fault, None, "mx.b.test:25").text, "mx.b.test")
    assert "{" not in said and "(" not in said
    assert ("mx.b.test:25" in said) is ("{upstream}" in fault.wording)
    detailed = phrases.seen(fault, "no route for 17 s", "mx.b.test")
    assert detailed.endswith("(no route for 17 s)")
