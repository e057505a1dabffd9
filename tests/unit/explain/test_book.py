"""Reading chapters: every mistake of a writer is named; and looking up, where the rules are not those of one page."""

from __future__ import annotations

import pytest

from relay.explain import Book, BookError, Failure
from relay.explain.heard import example, reply_from

PAGE = """
- id: {id}
  reason: userunknown
  title: "{title}"
  when: {when}
  meaning: Nobody of that name.
  advice: Check the spelling.
"""


def chapter(folder, name, *pages):
    (folder / name).write_text(
        "".join(PAGE.format(**{"id": "p", "title": "T", "when": "{}", **page}) for page in pages), "utf-8"
    )
    return folder


def test_what_is_given_first_is_asked_first_and_of_a_folder_the_first_by_name(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    chapter(tmp_path / "a", "99-last.yaml", {"id": "last"})
    chapter(tmp_path / "a", "10-first.yaml", {"id": "first", "when": '{text: ["no"]}'})
    chapter(tmp_path / "b", "our-own.yaml", {"id": "mine", "when": '{text: ["no"]}'})
    book = Book.read(tmp_path / "b" / "our-own.yaml", tmp_path / "a")
    assert [page.id for page in book.pages] == ["mine", "first", "last"]
    assert book.explain(example("550 No")).id == "mine"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ({"when": "{texts: [a]}"}, ["10-x.yaml:5", "page 1 (p)", "when.texts", '(nearest: "text")']),
        ({"when": "{phase: [rpct]}"}, ["when.phase", "'rpct'", '(nearest: "rcpt")']),
        ({"when": "{code: [55]}"}, ["when.code", "found 55", '"5xx"']),
        ({"when": "{text: [no]}"}, ["when.text", "found False", "in quotes"]),
        ({"when": "{login: maybe}"}, ["when.login", "'maybe'", "yes or no"]),
        ({"when": "{fault: [dsn]}"}, ["when.fault", "'dsn'"]),
        ({"title": "For {recipent}"}, ["10-x.yaml:4", "key title", "{recipent}", '(nearest: "recipient")']),
        ({"when": "{text: ['(a']}"}, ["page p", "(a", "missing )"]),
        ({"when": "{server: [gogle]}"}, ["page p", "'gogle'", "servers.yaml"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_the_nearest_right_name(tmp_path, page, expected):
    chapter(tmp_path, "10-x.yaml", page)
    chapter(tmp_path, "99-z.yaml", {"id": "last"})
    with pytest.raises(BookError) as caught:
        Book.read(tmp_path)
    for words in expected:
        assert words in str(caught.value)


def test_files_that_cannot_be_read_are_named_together(tmp_path):
    (tmp_path / "10-folder.yaml").mkdir()
    (tmp_path / "20-latin.yaml").write_bytes("# Ours\n# Grüße\n".encode("latin-1"))
    (tmp_path / "30-gone.yaml").symlink_to(tmp_path / "nowhere")
    chapter(tmp_path, "99-z.yaml", {"id": "last", "title": "For {recipent}"})
    with pytest.raises(BookError) as caught:
        Book.read(tmp_path)
    folder, latin, gone, other = str(caught.value).splitlines()
    assert folder == f"{tmp_path / '10-folder.yaml'}: Is a directory, expected a file that can be read"
    assert latin == f"{tmp_path / '20-latin.yaml'}:2: found the octet 0xFC, expected text in UTF-8"
    assert gone == f"{tmp_path / '30-gone.yaml'}: No such file or directory, expected a file that can be read"
    assert "{recipent}" in other


def test_a_file_of_a_translation_that_cannot_be_read_is_named(tmp_path):
    chapter(tmp_path, "99-z.yaml", {"id": "last"})
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "99-z.yaml").write_bytes("# Grüße\n".encode("latin-1"))
    with pytest.raises(BookError) as caught:
        Book.read(tmp_path, language="de")
    assert str(caught.value) == f"{tmp_path / 'de' / '99-z.yaml'}:1: found the octet 0xFC, expected text in UTF-8"


def test_all_mistakes_are_named_not_only_the_first(tmp_path):
    chapter(tmp_path, "10-x.yaml", {"when": "{texts: [a]}"}, {"id": "q", "when": "{phase: [rpct]}"})
    with pytest.raises(BookError, match=r"texts[\s\S]*rpct"):
        Book.read(tmp_path)


def test_the_last_page_must_match_always(tmp_path):
    chapter(tmp_path, "10-x.yaml", {"when": "{code: ['550']}"})
    with pytest.raises(BookError, match="the last page must have no 'when:'"):
        Book.read(tmp_path)


def test_an_id_occurs_once(tmp_path):
    chapter(tmp_path, "10-x.yaml", {}, {})
    with pytest.raises(BookError, match="'p' occurs twice"):
        Book.read(tmp_path)


def test_broken_yaml_is_named_by_its_line(tmp_path):
    (tmp_path / "10-x.yaml").write_text("- id: a\n  title: b: c\n", "utf-8")
    with pytest.raises(BookError, match=r"10-x\.yaml:2: not valid YAML"):
        Book.read(tmp_path)


@pytest.mark.parametrize(
    ("when", "known", "holds"),
    [
        ("{login: yes}", {"login": True}, True),
        ("{login: yes}", {"login": None}, False),
        ("{login: no}", {"login": False}, True),
        ("{null_sender: yes}", {"sender": ""}, True),
        ("{null_sender: yes}", {"sender": None}, False),
        ("{same_sender: no}", {"sender": "a@x.test", "user": "b@x.test"}, True),
        ("{same_sender: yes}", {"sender": "A@x.test", "user": "a@X.test"}, True),
        ("{size_over_limit: yes}", {"size": 11, "size_limit": 10}, True),
        ("{size_over_limit: yes}", {"size": 11}, False),
        ("{recipients_over: 50}", {"recipients": 51}, True),
        ("{recipients_over: 50}", {"recipients": 50}, False),
        (r"{upstream: ['\.example\.com$']}", {"upstream": "smtp.example.com:587"}, True),
        (r"{upstream: ['\.example\.com$']}", {"upstream": None}, False),
        ("{status: [x.7.1]}", {}, True),
        ("{status: [5.7.x], not_text: [bad]}", {}, False),
        ("{phase: [auth]}", {}, False),
    ],
)
def test_conditions(tmp_path, when, known, holds):
    chapter(tmp_path, "10-x.yaml", {"when": when}, {"id": "last"})
    failure = Failure(reply_from("550 5.7.1 Too bad"), **known)
    assert (Book.read(tmp_path).explain(failure).id == "p") is holds


def test_a_named_group_fills_its_blank_and_an_unknown_one_vanishes_with_its_brackets(tmp_path):
    when = "{text: ['moved to (?P<new_address>[^ ]+)']}"
    chapter(tmp_path, "10-x.yaml", {"when": when, "title": "Moved[ to {new_address}][, limit {count}]"}, {"id": "last"})
    assert Book.read(tmp_path).explain(example("551 moved to bob@c.test now")).title == "Moved to bob@c.test"


@pytest.mark.parametrize(
    ("known", "title"),
    [
        ({"size": 11_000_000, "size_limit": 10_000_000}, "Too big (10.0 MB)"),
        ({"size_limit": 10_000_000}, "Too big (10.0 MB)"),
        ({"size": 9_000_000, "size_limit": 10_000_000}, "Too big"),  # it is another limit that was exceeded
        ({"size": 9_000_000}, "Too big"),
    ],
)
def test_a_limit_that_was_not_exceeded_is_not_named(tmp_path, known, title):
    chapter(tmp_path, "10-x.yaml", {"when": "{text: [big]}", "title": "Too big[ ({limit})]"}, {"id": "last"})
    failure = Failure(reply_from("552 5.3.4 Too big for me"), **known)
    assert Book.read(tmp_path).explain(failure).title == title


def test_a_captured_value_cannot_smuggle_in_a_placeholder_or_a_line(tmp_path):
    when = "{text: ['list (?P<list>.+)']}"
    chapter(tmp_path, "10-x.yaml", {"when": when, "title": "On {list}"}, {"id": "last"})
    title = Book.read(tmp_path).explain(example("550 list {recipient} \x1b[1m" + "z" * 500)).title
    assert title.startswith("On {recipient} [1m") and title.isprintable() and len(title) < 70
