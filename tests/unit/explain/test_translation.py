"""Translations: which words are shown, in which language, and how a translator's mistake is named."""

from __future__ import annotations

import json

import pytest

from relay.explain import Book, BookError, Failure, render
from relay.explain.heard import example, reply_from
from relay.explain.phrases import IN_ENGLISH, PHRASES, Phrases
from relay.explain.reading import read_chapters, read_translation
from relay.explain.translation import ENGLISH_PHRASES, mark_of, missing, stale, translatable
from relay.explain.untranslated import untranslated

CHAPTER = """
- id: full
  reason: mailboxfull
  title: The mailbox of {recipient} is full
  when: {code: ["452"]}
  meaning: No room.
  advice: Wait {wait}.
- id: last
  reason: undefined
  title: Something else
  meaning: Nobody knows.
  advice: Ask.
"""
GERMAN = {
    "title": "Das Postfach von {recipient|jemand} ist voll",
    "meaning": "Kein Platz für Ähren.",
    "advice": "Warten.",
}
OF = mark_of({"title": "The mailbox of {recipient} is full", "meaning": "No room.", "advice": "Wait {wait}."})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "10-x.yaml").write_text(CHAPTER, "utf-8")
    (tmp_path / "de").mkdir()
    return tmp_path


def put(folder, file="10-x.yaml", **entries):
    (folder / "de" / file).write_text(json.dumps(entries), "utf-8")
    return folder


def test_a_translated_page_is_shown_with_the_fixed_words_of_its_language(folder):
    put(folder, full={"of": OF, **GERMAN})
    put(folder, "phrases.yaml", move={"of": mark_of(ENGLISH_PHRASES["move"]), "words": "Am Zug: {who}."})
    found = Book.read(folder, language="de").explain(example("452 Full"))
    assert found.title == "Das Postfach von jemand ist voll"
    assert b"Kein Platz fuer Aehren.\r\n452-Am Zug: the recipient's. Warten.\r\n" in render(found)
    assert "Kein Platz für Ähren".encode() in render(found, utf8=True)


def test_a_missing_page_is_english_from_its_title_to_its_fixed_words(folder):
    put(folder, full={"of": OF, **GERMAN})
    put(folder, "phrases.yaml", move={"of": mark_of(ENGLISH_PHRASES["move"]), "words": "Am Zug: {who}."})
    assert b"Whose move: not clear" in render(Book.read(folder, language="de").explain(example("550 x")))


def test_a_page_whose_english_has_changed_is_english_until_it_is_translated_again(folder):
    put(folder, full={"of": "en-00000000", **GERMAN})
    assert Book.read(folder, language="de").explain(example("452 x")).title == "The mailbox of the recipient is full"


def test_a_house_page_written_in_the_language_needs_no_translation(folder):
    house = folder / "00-house.txt"
    page = "- {id: h, language: de, reason: undefined, title: Hallo, when: {code: ['571']}, meaning: M., advice: A.}"
    house.write_text(page, "utf-8")
    put(folder, "phrases.yaml", move={"of": mark_of(ENGLISH_PHRASES["move"]), "words": "Am Zug: {who}."})
    assert b"Am Zug" in render(Book.read(house, folder, language="de").explain(example("571 x")))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"ful": {"of": OF, **GERMAN}}, ["de/10-x.yaml: ful:", '(nearest: "full")']),
        ({"full": "Voll"}, ["full: found text", "title, meaning, advice"]),
        ({"full": GERMAN}, ["no 'of:'"]),
        ({"full": {"of": OF, **GERMAN, "advice": 7}}, ["advice: found a number"]),
        ({"full": {"of": OF, **GERMAN, "advice": ""}}, ["found no 'advice'"]),
        ({"full": {"of": OF, **GERMAN, "more": "Mehr."}}, ["found 'more'"]),
        ({"full": {"of": OF, **GERMAN, "title": "Für {sender}"}}, ["title: found {sender}", "{recipient}"]),
    ],
)
def test_a_translators_mistake_is_named(folder, entry, expected):
    put(folder, **entry)
    with pytest.raises(BookError) as caught:
        Book.read(folder, language="de")
    for words in expected:
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "words",
    ["{server} sagte: {", "{server}} sagte: {words}", "{server} sagte: {words}{0}", "{server|Er} sagte: {words}"],
)
def test_a_phrase_that_could_not_be_filled_in_is_refused(folder, words):
    put(folder, "phrases.yaml", said={"of": mark_of(ENGLISH_PHRASES["said"]), "words": words})
    with pytest.raises(BookError, match=r"de/phrases\.yaml: said: words: found a brace|found no"):
        Book.read(folder, language="de")


def test_a_phrase_may_lose_none_of_its_blanks(folder):
    put(folder, "phrases.yaml", said={"of": mark_of(ENGLISH_PHRASES["said"]), "words": "{server} sagte etwas"})
    with pytest.raises(BookError, match=r"found no \{words\}"):
        Book.read(folder, language="de")


def test_what_is_left_to_do_can_be_filled_in_and_is_then_done(folder):
    put(folder, full={"of": "en-00000000", **GERMAN})
    chapters = read_chapters([folder])
    english = translatable(chapters.pages, "de")
    translation = read_translation([folder], "de", chapters.pages)
    assert (missing(english, translation.pages), stale(english, translation.pages)) == (("last",), ("full",))
    left = untranslated(chapters, translation)
    assert "# ---- de/phrases.yaml" in left and GERMAN["title"] in left and "# Nobody knows." in left
    assert untranslated(chapters, translation, ["10-x.yaml"]) in left
    assert untranslated(chapters, translation, ["last", "none"]).count("of: ") == 1
    filled = left.split("# ---- de/10-x.yaml")[1].replace('""', '"Worte"')
    (folder / "de" / "10-x.yaml").write_text(filled, "utf-8")
    translation = read_translation([folder], "de", chapters.pages)
    assert not missing(english, translation.pages) and not stale(english, translation.pages)


def test_numbers_and_sizes_are_written_as_in_the_language(folder):
    page = CHAPTER.replace("452", "552").replace("{recipient}", "{size}")
    (folder / "10-x.yaml").write_text(page, "utf-8")
    failure = Failure(reply_from("552 x"), size=12_345_678)
    assert "12.3 MB" in Book.read(folder).explain(failure).title
    of = mark_of({**read_chapters([folder]).pages[0].words})
    put(folder, full={"of": of, **GERMAN, "title": "{size}"})
    put(folder, "phrases.yaml", number={"of": mark_of(ENGLISH_PHRASES["number"]), "words": "1.234,5"})
    assert Book.read(folder, language="de").explain(failure).title == "12,3 MB"


@pytest.mark.parametrize(
    ("said", "told"),
    [("300 seconds", "300 Sekunden"), ("1 hour", "1 Stunde"), ("5 mins", "5 Minuten"), ("a while", "a while")],
)
def test_a_waiting_time_is_told_in_the_language(said, told):
    german = {"seconds": "Sekunden", "hour": "Stunde", "minutes": "Minuten"}
    assert Phrases("de", {**PHRASES, **german}).span(said) == told
    assert IN_ENGLISH.span(said) == said
