"""Every file *.dialog in this folder is one case: see `dialog_script` for how to write one."""

from __future__ import annotations

from pathlib import Path

import pytest
from dialog_player import check_explained, play
from dialog_script import octets, parse, pattern

_DIALOGS = {path.stem: path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("*.dialog"))}


@pytest.mark.parametrize("name", _DIALOGS)
async def test_each_side_hears_what_the_dialog_says(name: str):
    await play(_DIALOGS[name])


def test_there_are_dialogs_and_each_begins_with_what_it_proves():
    assert len(_DIALOGS) >= 30
    assert [name for name, text in _DIALOGS.items() if not text.startswith("# ")] == []


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("ready\nclient> NOOP\nclient< 250 2.0.0 Fine\n", "heard instead"),
        ("ready\nclient> NOOP\n", "told more than the dialog holds"),
        ("ready\nclient> NOOP\nclient< 250 2.0.0 OK\nupstream< NOOP\n", "line 4: upstream< NOOP"),
        ("ready\nclient> NOOP\nclient< 250 ... OK\n", "an enhanced code that nobody sent"),
    ],
)
async def test_a_dialog_that_is_not_true_fails(wrong: str, complaint: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dialog_player._SECONDS", 0.2)
    with pytest.raises(AssertionError, match=complaint):
        await play(wrong)


def test_a_line_of_no_known_form_is_named():
    with pytest.raises(ValueError, match="line 2 is no line of a dialog: clientt> NOOP"):
        parse("ready\nclientt> NOOP")


def test_escapes_stand_for_their_octets():
    assert octets(r"a\r\n\x00\\\*") == b"a\r\n\0\\*"
    assert octets("ü") == b"\xc3\xbc"


def test_a_star_stands_for_anything_unless_escaped():
    assert pattern(r"EHLO *").fullmatch(b"EHLO x")
    assert pattern(r"\*").fullmatch(b"*")
    assert not pattern(r"\*").fullmatch(b"x")


@pytest.mark.parametrize(
    "reply",
    [
        b"550-5.1.1 one\r\n550 5.1.2 unknown\r\n",
        b"550-5.1.1 one\r\n451 5.1.1 unknown\r\n",
        b"550 5.1.1 unknown\r\n",
        b"550-5.1.1 one\r\n550 5.1.1 two\r\n",
        b"550-5.1.1 one\x1b\r\n550 5.1.1 unknown\r\n",
        b"550-5.1.1 " + b"x" * 600 + b"\r\n550 5.1.1 unknown\r\n",
    ],
)
def test_a_reply_that_is_not_well_explained_is_found_out(reply: bytes):
    with pytest.raises(AssertionError):
        check_explained(reply, "550 5.1.1 ... unknown")
