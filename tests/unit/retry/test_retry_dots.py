"""The dots of transparency: what is stuffed ends where it should, and comes out as it went in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.retry.dots import stuffed, unstuffed
from relay.smtp.message import MessageScanner

MESSAGES = st.lists(st.sampled_from([b".", b"..", b"x", b"", b".x", b"\xc3\xa4"])).map(
    lambda lines: b"".join(line + b"\r\n" for line in lines)
)


@given(MESSAGES)
def test_stuffed_and_unstuffed_are_each_other_s_opposite(message: bytes):
    assert unstuffed(stuffed(message)) == message


@given(MESSAGES)
def test_what_is_stuffed_ends_at_its_end_and_nowhere_before(message: bytes):
    scanner = MessageScanner()
    scanner.feed(stuffed(message) + b"QUIT\r\n")
    assert scanner.ended
    assert scanner.rest == b"QUIT\r\n"
    assert scanner.fault is None


def test_a_line_without_its_end_gets_one():
    assert stuffed(b"x") == b"x\r\n.\r\n"


def test_a_beginning_is_unstuffed_too():
    assert unstuffed(b"..a\r\n..b") == b".a\r\n.b"
