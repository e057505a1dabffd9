"""Who logs in, and never with what."""

from __future__ import annotations

import base64

import pytest

from relay.smtp.sasl import LoginObserver, well_formed


@pytest.mark.parametrize(
    ("mechanism", "answers", "user"),
    [
        (b"PLAIN", [b"\0alice\0secret"], "alice"),
        (b"plain", [b"boss\0alice\0secret"], "alice"),
        (b"PLAIN", [b"alice secret"], None),
        (b"LOGIN", [b"alice", b"secret"], "alice"),
        (b"CRAM-MD5", [b"alice b913a602c7eda7a495b4e6e7334d3890"], "alice"),
        (b"XOAUTH2", [b"user=alice@b.test\x01auth=Bearer token\x01\x01"], "alice@b.test"),
        (b"OAUTHBEARER", [b"n,a=alice@b.test,\x01auth=Bearer token\x01\x01"], "alice@b.test"),
        (b"OAUTHBEARER", [b"y,a=al=2Cice=3Db,\x01auth=Bearer token\x01\x01"], "al,ice=b"),
        # The token decides there: a key that servers do not know may hold any name.
        (b"OAUTHBEARER", [b"n,,\x01user=alice\x01auth=Bearer token\x01\x01"], None),
        (b"OAUTHBEARER", [b"y,a=eve,\x01user=alice\x01auth=Bearer token\x01\x01"], "eve"),
        (b"XOAUTH2", [b"x=1\x01user=alice\x01auth=Bearer token\x01\x01"], None),
        (b"XOAUTH2", [b"n,a=alice,\x01auth=Bearer token\x01\x01"], None),
        (b"SCRAM-SHA-256", [b"n,,n=alice,r=nonce", b"c=biws,p=proof"], None),
        (b"NTLM", [b"NTLMSSP"], None),
        (b"LOGIN", ["jürgen".encode(), b"secret"], "jürgen"),
        # A server that passes over the initial response asks for all of it again: who has logged in is not the first.
        (b"LOGIN", [b"alice", b"mallory", b"secret"], None),
        (b"PLAIN", [b"\0alice\0secret", b"\0mallory\0secret"], None),
    ],
)
def test_the_user_name_is_read_where_the_mechanism_shows_it(mechanism: bytes, answers: list[bytes], user: str | None):
    observer = LoginObserver(mechanism)
    for answer in answers:
        observer.heard(base64.b64encode(answer))
    assert observer.user == user


@pytest.mark.parametrize("mechanism", [b"PLAIN", b"LOGIN", b"XOAUTH2", b"CRAM-MD5"])
def test_no_secret_is_kept(mechanism: bytes):
    observer = LoginObserver(mechanism)
    for answer in (b"", b"*", b"!!", base64.b64encode(b"secret"), base64.b64encode(b"secret")):
        observer.heard(answer)
    kept = [getattr(observer, name) for name in LoginObserver.__slots__]
    assert "secret" not in map(str, kept)


@pytest.mark.parametrize("answer", [b"*", b"=", b"", b"YWxpY2U=", b"YQ==", b"abc", b"A" * 4000])
def test_well_formed_answers(answer: bytes):
    assert well_formed(answer)


@pytest.mark.parametrize("answer", [b"**", b"YQ===", b"a b", b"QUIT\r", b"MAIL FROM:<a@b>", b"\xff", b"=YQ", b"YQ==\n"])
def test_what_is_no_answer(answer: bytes):
    assert not well_formed(answer)
