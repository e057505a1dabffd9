"""A login at rest: encrypted, and readable under the same key alone."""

from __future__ import annotations

import base64

from pydantic import SecretStr

from relay.retry.vault import Vault
from relay.smtp.sasl import Credentials, LoginObserver

LOGIN = Credentials("plain", "anna", "pässword")


def key(octet: bytes) -> SecretStr:
    return SecretStr(base64.urlsafe_b64encode(octet * 32).decode())


def test_a_login_comes_out_as_it_went_in_and_is_not_to_be_seen_meanwhile():
    locked = Vault(key(b"a")).lock(LOGIN)
    assert Vault(key(b"a")).unlock(locked) == LOGIN
    assert b"anna" not in locked
    assert "ssword" not in repr(LOGIN) + str(LOGIN)


def test_another_key_opens_nothing():
    assert Vault(key(b"b")).unlock(Vault(key(b"a")).lock(LOGIN)) is None


def said(mechanism: bytes, *answers: bytes, keep: bool = True) -> Credentials | None:
    observer = LoginObserver(mechanism, keep=keep)
    for answer in answers:
        observer.heard(base64.b64encode(answer))
    return observer.credentials


def test_a_login_that_can_be_used_again_is_kept_where_that_is_wanted():
    assert said(b"PLAIN", b"\0anna\0secret") == Credentials("plain", "anna", "secret")
    assert said(b"PLAIN", b"anna\0anna\0secret") == Credentials("plain", "anna", "secret")
    assert said(b"LOGIN", b"anna", b"secret") == Credentials("login", "anna", "secret")
    bearer = said(b"XOAUTH2", b"user=anna\x01auth=Bearer token\x01\x01")
    assert bearer == Credentials("xoauth2", "anna", "token")


def test_what_cannot_be_used_again_or_is_not_wanted_is_not_kept():
    assert said(b"PLAIN", b"\0anna\0secret", keep=False) is None
    assert said(b"PLAIN", b"other\0anna\0secret") is None
    assert said(b"CRAM-MD5", b"anna 0123456789abcdef0123456789abcdef") is None
    assert said(b"LOGIN", b"anna") is None
    assert said(b"PLAIN", b"\0anna\0\xff") is None
