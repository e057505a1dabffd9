"""What is understood of an EHLO reply, and what may be offered of it."""

from __future__ import annotations

import pytest

from relay.smtp.capabilities import NOTHING, Capabilities


def offered(*lines: bytes) -> Capabilities:
    return Capabilities.of_ehlo((b"upstream.test", *lines))


def test_the_first_line_is_a_name_not_an_extension():
    assert b"SIZE" not in Capabilities.of_ehlo((b"SIZE",))


def test_keywords_are_read_whatever_their_case_and_the_first_counts():
    capabilities = offered(b"pipelining", b"Size 10", b"SIZE 20")
    assert b"PIPELINING" in capabilities
    assert capabilities.size_limit == 10


@pytest.mark.parametrize(
    ("line", "limit"), [(b"SIZE", None), (b"SIZE 0", None), (b"SIZE 1000", 1000), (b"SIZE x", None),
                        (b"SIZE -1", None), (b"SIZE " + b"9" * 30, None), ("SIZE ²".encode(), None)]
)  # fmt: skip
def test_size_limit(line: bytes, limit: int | None):
    assert offered(line).size_limit == limit


@pytest.mark.parametrize(
    ("line", "limit"),
    [(b"LIMITS RCPTMAX=20 mailmax=5", 5), (b"LIMITS MAILMAX=0", None), (b"LIMITS MAILMAX=x RCPTMAX=1", None),
     (b"LIMITS MAILMAX=1000000", None), (b"SIZE 1", None)]
)  # fmt: skip
def test_mails_of_one_connection(line: bytes, limit: int | None):
    assert offered(line).most_mails == limit


@pytest.mark.parametrize(
    "line", [b"AUTH PLAIN LOGIN", b"AUTH=LOGIN PLAIN", b"auth plain login", b"AUTH LOGIN EXTERNAL PLAIN"]
)
def test_mechanisms_that_pass_a_relay(line: bytes):
    assert offered(line).mechanisms == (b"PLAIN", b"LOGIN")


@pytest.mark.parametrize("bound", [b"EXTERNAL", b"GSSAPI", b"SCRAM-SHA-1-PLUS", b"SCRAM-SHA-256-PLUS", b"ANONYMOUS"])
def test_mechanisms_bound_to_the_channel_are_not_offered(bound: bytes):
    assert offered(b"AUTH " + bound).mechanisms == ()


def test_what_the_relay_cannot_pass_is_not_offered():
    capabilities = offered(b"PIPELINING", b"8BITMIME", b"STARTTLS", b"XCLIENT NAME", b"VRFY", b"DSN", b"DELIVERBY 60")
    assert capabilities.passed_on(tls=True) == (b"8BITMIME", b"DSN", b"DELIVERBY 60")


def test_requiretls_only_where_the_way_behind_has_tls():
    assert offered(b"REQUIRETLS").passed_on(tls=False) == ()
    assert offered(b"REQUIRETLS").passed_on(tls=True) == (b"REQUIRETLS",)


def test_nothing_is_offered_where_nothing_is_known():
    assert (NOTHING.size_limit, NOTHING.mechanisms, NOTHING.passed_on(tls=True)) == (None, (), ())


def test_only_the_old_spelling_of_auth_has_its_sign_replaced():
    assert offered(b"LIMITS RCPTMAX=20 MAILMAX=5").passed_on(tls=True) == (b"LIMITS RCPTMAX=20 MAILMAX=5",)


@pytest.mark.parametrize("line", [b"DSN \x1b[31m\x07", b"MT-PRIORITY \xff\xfe", b"DSN " + b"x" * 600, b"DSN \x00"])
def test_what_may_not_stand_in_a_reply_offers_nothing(line: bytes):
    assert offered(line, b"8BITMIME").passed_on(tls=True) == (b"8BITMIME",)
