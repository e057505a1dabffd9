"""A reply as it was heard, and as it is passed on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.smtp import Phase, Reply


def test_good_lines_pass_unchanged():
    assert Reply(None, 250, (b"2.0.0 one", b"\ttwo ", b"")).wire() == b"250-2.0.0 one\r\n250-\ttwo \r\n250 \r\n"


@given(lines=st.lists(st.binary(max_size=700), min_size=1, max_size=5), code=st.integers(200, 599))
def test_whatever_was_heard_the_wire_is_well_formed(lines: list[bytes], code: int):
    wire = Reply(None, code, tuple(lines)).wire()
    assert wire.endswith(b"\r\n")
    *first, last = wire.removesuffix(b"\r\n").split(b"\r\n")
    assert len(first) + 1 == len(lines)
    assert all(line.startswith(b"%d-" % code) for line in first)
    assert last.startswith(b"%d " % code)
    for line in (*first, last):
        assert len(line) + 2 <= 512 or code == 334  # a challenge of a login may be long
        assert all(0x20 <= octet < 0x7F or octet == 9 for octet in line)


def test_a_long_challenge_is_not_cut():
    challenge = b"YWJj" * 300
    assert Reply(Phase.AUTH, 334, (challenge,)).wire() == b"334 " + challenge + b"\r\n"


@pytest.mark.parametrize(
    ("code", "lines", "status"),
    [
        (550, (b"5.1.1 no such user",), "5.1.1"),
        (550, (b"no such user",), None),
        (550, (b"first line", b"5.1.1 second line"), "5.1.1"),
        (550, (b"2.1.5 contradicts its code",), None),
        (550, (b"5.1.1",), "5.1.1"),
        (550, (b"5.1.1more",), None),
        (421, (b"4.7.28 \tGmail",), "4.7.28"),
        (250, (b"2.1.0",), "2.1.0"),
        (550, (b"5.1234.1 too many digits",), None),
        (354, (b"3.0.0 there is no such class",), None),
    ],
)
def test_status_is_the_enhanced_code_of_the_same_class(code: int, lines: tuple[bytes, ...], status: str | None):
    assert Reply(None, code, lines).status == status


def test_texts_are_the_words_without_the_status():
    reply = Reply(None, 550, (b"5.1.1 The user", b"5.1.1   does not", b"", b"exist \xff"))
    assert reply.texts == ("The user", "does not", "", "exist �")
    assert reply.text == "The user does not exist �"


@pytest.mark.parametrize(
    ("code", "ok", "transient", "permanent"),
    [(250, True, False, False), (354, True, False, False), (421, False, True, False), (550, False, False, True)],
)
def test_the_class_of_the_code_decides(code: int, ok: bool, transient: bool, permanent: bool):
    reply = Reply(None, code)
    assert (reply.ok, reply.transient, reply.permanent) == (ok, transient, permanent)
