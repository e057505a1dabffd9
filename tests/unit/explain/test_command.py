"""`relay explain`, as it is called."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from relay.cli import app


def run(*arguments, text=""):
    return CliRunner().invoke(app, ["explain", *arguments], input=text)


@pytest.mark.parametrize("text", ["421", "5.1.1", "550 5.1.1 User unknown", "250"])
def test_a_person_is_told_whose_move_it_is(text):
    result = run(text)
    assert result.exit_code == 0
    assert "Whose move:" in result.output and "page " in result.output


def test_batch_answers_each_line_and_goes_on_after_a_bad_one():
    lines = [
        json.dumps({"id": "a", "reply": "550-5.1.1 User\n550 5.1.1 unknown", "phase": "data-end", "login": "yes"}),
        "not json",
        json.dumps({"id": "c"}),
        json.dumps({"id": "d", "reply": "550 17", "phase": "local", "login": None}),
    ]
    result = run("--batch", text="\n".join(lines))
    a, bad, c, d = map(json.loads, result.output.splitlines())
    assert result.exit_code == 1
    assert set(a) == {"id", "page", "reason", "who", "retry", "title", "meaning", "advice", "lines"}
    assert (a["id"], a["reason"], d["reason"]) == ("a", "userunknown", "undefined")
    assert a["lines"][-1].startswith("550 5.1.1 ")
    assert "line 2" in bad["error"] and "line 3" in c["error"]


def test_a_wrong_login_option_is_explained():
    result = run("550", "--login", "perhaps")
    assert result.exit_code == 2
    assert "yes or no" in result.output


def test_a_file_that_is_not_there_is_named(tmp_path):
    result = run("--file", str(tmp_path / "none.eml"))
    assert result.exit_code == 2
    assert "none.eml" in result.output


def test_another_language_shows_all_its_letters():
    shown = run("550 Address rejected.", "--phase", "rcpt", "--language", "de").output
    assert "Prüfen Sie" in shown and "  550-Am Zug: Sie selbst. Pruefen Sie" in shown


def test_a_language_the_book_does_not_speak_is_refused():
    result = run("550", "--language", "xx")
    assert result.exit_code == 2
    assert "en, de, fr, es" in result.output
