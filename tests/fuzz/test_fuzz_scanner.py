"""The scanner of messages against the oracle: all short messages in all cuts; `make fuzz` goes further."""

from __future__ import annotations

import pytest
from fuzz_oracle import ends_for_somebody, has_bare_newline, mended, read_message
from fuzz_scanner import Count, compare, difference, every_cut, some_cuts
from hypothesis import given
from hypothesis import strategies as st

_PARTS = st.sampled_from(
    [b"\r", b"\n", b".", b"\0", b"a", b"\r\n", b"\r\n.", b"\r\n..", b"\r\n.\r\n", b"b" * 70, b"\xff"]
)


@pytest.mark.parametrize("length", range(1, 6))
def test_every_message_in_every_cut(length: int):
    count = Count()
    compare(length, every_cut(length), count)
    assert (count.differences, count.first) == (0, "")
    assert count.strings == 5**length
    assert count.runs == 2 * 5**length * 2 ** (length - 1)


def test_every_message_of_six_octets_in_some_cuts():
    count = Count()
    compare(6, some_cuts(6), count)
    assert (count.differences, count.first) == (0, "")


@given(pieces=st.lists(st.lists(_PARTS, max_size=8).map(b"".join), max_size=8), normalize=st.booleans())
def test_long_messages_in_any_cut(pieces: list[bytes], normalize: bool):
    whole = b"".join(pieces) + b"\r\n.\r\nNOOP\r\n"
    assert difference(pieces, whole, read_message(whole), normalize=normalize) == ""


@pytest.mark.parametrize(
    ("octets", "text", "used", "bare"),
    [
        (b".\r\n", b"", 3, False),
        (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", 6, False),
        (b"..a\r\n.\r\n", b".a\r\n", 8, False),
        (b"a\n.\n\r\n.\r\n", b"a\n.\n\r\n", 9, True),
        (b"a\r.\r\n.\r\n", b"a\r.\r\n", 8, True),
        (b".\n\r\n.\r\n", b"\n\r\n", 7, True),
    ],
)
def test_the_oracle_reads_what_the_standard_says(octets: bytes, text: bytes, used: int, bare: bool):
    message = read_message(octets)
    assert (message.ended, message.text, message.used, message.bare) == (True, text, used, bare)


def test_the_oracle_tells_a_bare_newline_and_mends_it():
    assert not has_bare_newline(b"a\r\nb\r\n")
    assert all(map(has_bare_newline, (b"\n", b"\r", b"\r\r\n", b"a\nb", b"\r\n\n")))
    assert mended(b"\na\rb\r\nc\r\r\n") == b"\r\na\r\nb\r\nc\r\n\r\n"


def test_the_oracle_knows_what_a_lenient_server_takes_for_an_end():
    assert all(map(ends_for_somebody, (b"\n.\n", b".\r", b"\r.\r", b"\n\0.\r\n", b"a\r\n.\n")))
    assert not any(map(ends_for_somebody, (b"\n..\n", b".a\r", b"a.\r\n", b"\r\n.")))
