"""MAIL and RCPT arguments: read for display, kept octet for octet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.smtp.command import Path, parse_path


@pytest.mark.parametrize(
    ("argument", "wire", "address"),
    [
        (b"FROM:<a@b.test>", b"<a@b.test>", "a@b.test"),
        (b"from:<A@B.test>", b"<A@B.test>", "A@B.test"),
        (b"FROM: <a@b.test>", b"<a@b.test>", "a@b.test"),
        (b"FROM:<>", b"<>", ""),
        (b"FROM:<> RET=hdrs", b"<> RET=hdrs", ""),
        (b"FROM:<@x.test,@y.test:a@b.test>", b"<@x.test,@y.test:a@b.test>", "a@b.test"),
        (b'FROM:<"a b>c"@b.test> BODY=8BITMIME', b'<"a b>c"@b.test> BODY=8BITMIME', '"a b>c"@b.test'),
        (b'FROM:<"a\\"b"@b.test>', b'<"a\\"b"@b.test>', '"a\\"b"@b.test'),
        (b"FROM:a@b.test", b"<a@b.test>", "a@b.test"),
        (b"FROM: a@b.test SIZE=3", b"<a@b.test> SIZE=3", "a@b.test"),
        (b"FROM:<a:b@c.test>", b"<a:b@c.test>", "a:b@c.test"),
        (b"FROM:<a,b@c.test>", b"<a,b@c.test>", "a,b@c.test"),
        (b"FROM:<a b@c.test>", b"<a b@c.test>", "a b@c.test"),
        (b"FROM:<=?utf-8?q?x=40y?=@c.test>", b"<=?utf-8?q?x=40y?=@c.test>", "=?utf-8?q?x=40y?=@c.test"),
        (b"FROM:<a@b.test> ENVID=QQ+2BaBc  ", b"<a@b.test> ENVID=QQ+2BaBc", "a@b.test"),
        ("FROM:<jürgen@b.test> SMTPUTF8".encode(), "<jürgen@b.test> SMTPUTF8".encode(), "jürgen@b.test"),
    ],
)
def test_a_path_keeps_its_octets(argument: bytes, wire: bytes, address: str):
    path = parse_path(argument, b"FROM:")
    assert path is not None
    assert (path.wire, path.address) == (wire, address)


@pytest.mark.parametrize(
    "argument",
    [b"", b"FROM:", b"FROM: ", b"FROM", b"TO:<a@b.test>", b"<a@b.test>", b"FROM:<a@b.test", b"FROM:a@b.test>",
     b"FROM:<a@b.test>x", b"FROM:<a\0b@c.test>", b"FROM:<a\rb@c.test>", b"FROM:<a\x1b@c.test>",
     b"FROM:<a@b.test> X=\x7f",
     b'FROM:<"a@b.test>', b"FROM:<a<b@c.test>"],
)  # fmt: skip
def test_what_is_no_path_is_not_read(argument: bytes):
    assert parse_path(argument, b"FROM:") is None


@pytest.mark.parametrize(
    ("parameters", "size", "eight_bit", "utf8"),
    [
        (b"", None, False, False),
        (b" SIZE=123", 123, False, False),
        (b" body=8bitmime size=0 smtputf8", 0, True, True),
        (b" XSIZE=5 BODY=7BIT SMTPUTF8X", None, False, False),
        (b" SIZE=12x", None, False, False),
        (b" SIZE=" + b"9" * 21, None, False, False),
    ],
)
def test_parameters_the_relay_itself_needs(parameters: bytes, size: int | None, eight_bit: bool, utf8: bool):
    path = Path(b"<a@b.test>", parameters)
    assert (path.declared_size, path.eight_bit, path.utf8) == (size, eight_bit, utf8)


@given(st.binary(max_size=80))
def test_whatever_comes_no_control_octet_gets_through(argument: bytes):
    path = parse_path(b"TO:" + argument, b"TO:")
    if path is not None:
        assert path.octets.startswith(b"<") and path.octets.endswith(b">")
        assert not set(path.wire) & set(b"\0\r\n\x1b\x7f")
        assert path.wire.replace(b"<", b"").replace(b">", b"").strip() in argument.replace(b"<", b"").replace(b">", b"")
