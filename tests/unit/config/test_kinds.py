"""The kinds of value a setting may hold."""

from __future__ import annotations

import pytest
from pydantic_core import PydanticCustomError

from relay.config.kinds import boolean, domain_or_address, octets, seconds
from relay.config.problem import nearest, quoted


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("26214400", 26214400),
        (512, 512),
        ("25 MB", 25_000_000),
        ("100MiB", 104_857_600),
        ("1.5 kib", 1536),
        ("2gb", 2 * 10**9),
    ],
)
def test_sizes(text: str, size: int):
    assert octets(text) == size


@pytest.mark.parametrize("text", ["0", "-1", "25 megabytes", "25M", "", "MB", "1e6", "0.1 B", "9" * 400 + " MB"])
def test_what_is_no_size(text: str):
    with pytest.raises(PydanticCustomError, match="100 MiB"):
        octets(text)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "30s", "", True, None])
def test_what_is_no_time(text: object):
    with pytest.raises(PydanticCustomError, match="seconds"):
        seconds(text)


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("Off", False), (True, True), ("false", False)])
def test_switches(text: object, value: bool):
    assert boolean(text) is value


@pytest.mark.parametrize(
    "name", ["relay.example.com", "localhost", "a_b", "[192.0.2.1]", "[IPv6:2001:db8::1]", "xn--mil-qla.de"]
)
def test_names_for_ehlo(name: str):
    assert domain_or_address(name) == name


@pytest.mark.parametrize(
    "name", ["", "my relay", "-x", "mäil", "[mail]", "[]", "a..b", "a\nb", "x" * 64, ("a" * 60 + ".") * 5]
)
def test_what_is_no_name_for_ehlo(name: str):
    with pytest.raises(PydanticCustomError, match="host name"):
        domain_or_address(name)


def test_the_nearest_name():
    assert nearest("conections", ("errors", "connections")) == "connections"
    assert nearest("zzz", ("errors", "connections")) == ""


def test_a_value_is_shown_without_control_characters_and_not_endlessly():
    assert quoted("a\x1b[31m\nb") == '"a?[31m?b"'
    assert len(quoted("x" * 1000)) < 100
    assert quoted("smtp://anna:pass@word@host") == '"smtp://***@host"'
