"""Replies are read strictly, however the octets are cut."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.smtp.hearing import MAX_LINES, MAX_OCTETS, GarbledError, ReplyReader

_STREAM = b"220 a\r\n250-one\r\n250-\r\n250 three\r\n354\r\n550-x\r\n550\r\n"
_REPLIES = [(220, (b"a",)), (250, (b"one", b"", b"three")), (354, (b"",)), (550, (b"x", b""))]


@pytest.mark.parametrize("at", range(len(_STREAM) + 1))
def test_a_cut_at_any_octet_changes_nothing(at: int):
    reader = ReplyReader()
    assert reader.feed(_STREAM[:at]) + reader.feed(_STREAM[at:]) == _REPLIES
    assert reader.empty


def test_octet_by_octet_changes_nothing():
    reader = ReplyReader()
    heard = [reply for octet in _STREAM for reply in reader.feed(bytes([octet]))]
    assert heard == _REPLIES


@pytest.mark.parametrize("part", [b"2", b"250", b"250 ok\r", b"250-one\r\n", b"250 ok\r\n250 "])
def test_a_part_of_a_reply_is_not_empty(part: bytes):
    reader = ReplyReader()
    reader.feed(part)
    assert not reader.empty


@pytest.mark.parametrize(
    "line",
    [b"", b"2", b"25", b"250xok", b"2_5 ok", b"199 low", b"600 high", b"099 x", b"250\tok", b" 250 ok", b"2 50 ok",
     b"+25 ok", b"250 a\rb", b"250 a\nb", b"250 ok\n", "²50 ok".encode(), b"HTTP/1.1 400 Bad Request",
     b"\x15\x03\x01\x00\x02\x02\x16"],
)  # fmt: skip
def test_what_is_no_reply_line_is_garbled(line: bytes):
    with pytest.raises(GarbledError):
        ReplyReader().feed(line + b"\r\n")


@pytest.mark.parametrize("second", [b"250 ok", b"550-x", b"551 x"])
def test_two_codes_in_one_reply_are_garbled(second: bytes):
    reader = ReplyReader()
    reader.feed(b"550-no such user\r\n" if second != b"550-x" else b"250-ok\r\n")
    with pytest.raises(GarbledError, match="two codes in one reply"):
        reader.feed(second + b"\r\n")


def test_the_largest_reply_is_read_and_one_line_more_is_not():
    reader = ReplyReader()
    assert reader.feed(b"250-x\r\n" * (MAX_LINES - 1) + b"250 x\r\n") == [(250, (b"x",) * MAX_LINES)]
    with pytest.raises(GarbledError, match="lines"):
        reader.feed(b"250-x\r\n" * MAX_LINES + b"250 x\r\n")


def test_a_line_feed_alone_is_not_waited_with():
    reader = ReplyReader()
    with pytest.raises(GarbledError, match="LF alone"):
        reader.feed(b"250 ok\n")


@pytest.mark.parametrize(
    ("begun", "refusing"),
    [(b"", False), (b"2", False), (b"5", True), (b"250-a\r\n5", False), (b"450-a\r\n", True), (b"550 a\r\n25", False)],
)
def test_a_refusal_that_is_begun_is_known_as_one(begun: bytes, refusing: bool):
    reader = ReplyReader()
    reader.feed(begun)
    assert reader.refusing is refusing


def test_an_endless_line_is_given_up():
    reader = ReplyReader()
    reader.feed(b"250 " + b"x" * (MAX_OCTETS - 4))
    with pytest.raises(GarbledError, match="octets"):
        reader.feed(b"x")


def test_many_long_lines_are_given_up():
    reader = ReplyReader()
    with pytest.raises(GarbledError, match="octets"):
        reader.feed((b"250-" + b"x" * 1000 + b"\r\n") * 66)


def test_limits_count_one_reply_not_the_stream():
    reader = ReplyReader()
    for _ in range(MAX_LINES + 1):
        assert len(reader.feed(b"250 " + b"x" * 500 + b"\r\n")) == 1


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_whatever_comes_only_replies_or_garbled(pieces: list[bytes]):
    reader = ReplyReader()
    with suppress(GarbledError):
        for code, lines in (reply for piece in pieces for reply in reader.feed(piece)):
            assert 200 <= code <= 599
            assert lines
