"""`relay unexplained`, as it is called."""

from __future__ import annotations

import gzip
import json

import pytest
from typer.testing import CliRunner

from relay.cli import app

EVENT = {"event": "relay_failure", "phase": "rcpt", "code": 550, "reason": "undefined", "upstream": "mx.b.test"}


def event(words, **other):
    return json.dumps({**EVENT, "words": [words], **other})


LOG = "\n".join(
    [
        event("5.7.1 Xyzzy rule 17 for bob@b.test"),
        event("5.7.1 Xyzzy rule 4 for anna@b.test", phase="mail"),
        event("5.1.1 User unknown"),  # the book of that day had no page for it
        event("5.7.1 Plugh", reason="spamdetected"),
        event("5.7.1 Plugh", code="many"),
        json.dumps({"event": "relay_message"}),
        "a line of another program",
        "",
    ]
)


def run(*arguments, text=""):
    return CliRunner().invoke(app, ["unexplained", *map(str, arguments)], input=text)


def test_a_log_becomes_a_chapter_to_fill_in():
    result = run(text=LOG)
    assert result.exit_code == 0
    assert "# 5 refusals read; 2 of them, in 1 forms, have no reason in the book." in result.output
    assert "# 2 x 550 5.7.1 Xyzzy rule <number> for <address>, at rcpt, mail, from mx.b.test; now " in result.output
    assert "    phase: [mail, rcpt]\n" in result.output and "User unknown" not in result.output
    assert "bob" not in result.output and "Plugh" not in result.output


def test_rotated_logs_are_read_together(tmp_path):
    (tmp_path / "relay.log").write_text(LOG)
    (tmp_path / "relay.log.1.gz").write_bytes(gzip.compress(LOG.encode()))
    result = run(tmp_path / "relay.log", tmp_path / "relay.log.1.gz", "--json")
    (found,) = map(json.loads, result.output.splitlines())
    assert (found["count"], found["phases"], found["form"]) == (
        4,
        {"rcpt": 2, "mail": 2},
        "Xyzzy rule <number> for <address>",
    )


def test_what_a_house_page_explains_is_not_listed(tmp_path):
    page = '- {id: house-x, reason: filtered, title: T, meaning: M., advice: A., when: {text: ["xyzzy rule"]}}'
    (tmp_path / "00-house.yaml").write_text(page)
    assert "0 of them" in run("--house", tmp_path / "00-house.yaml", text=LOG).output


@pytest.mark.parametrize("text", ["relay_failure code=550\n", "\x1f\x8bnot gzip"])
def test_a_log_of_another_format_is_refused(text):
    result = run(text=text)
    assert result.exit_code == 2 and "log.format: json" in result.stderr


def test_a_broken_file_is_named(tmp_path):
    assert run(tmp_path / "none.log").exit_code == 2
    (tmp_path / "cut.gz").write_bytes(gzip.compress(LOG.encode())[:60])
    assert run(tmp_path / "cut.gz").exit_code == 2
