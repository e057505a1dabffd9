"""The upstream's URL."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from relay.config import Security, upstream_url


@pytest.mark.parametrize(
    ("text", "host", "port", "security"),
    [
        ("smtp://mail.example.com", "mail.example.com", 587, Security.STARTTLS),
        ("SMTP://mail.example.com:25/", "mail.example.com", 25, Security.STARTTLS),
        ("smtps://192.0.2.1", "192.0.2.1", 465, Security.IMPLICIT),
        ("smtp+plain://[2001:db8::1]:2525", "2001:db8::1", 2525, Security.PLAIN),
        ("smtp+plain://mail_1", "mail_1", 25, Security.PLAIN),
    ],
)
def test_the_forms_of_a_url(text: str, host: str, port: int, security: Security):
    url = upstream_url(text)
    assert (url.host, url.port, url.security, url.user, url.password) == (host, port, security, None, None)
    assert upstream_url(str(url)) == url


@pytest.mark.parametrize(
    ("login", "user", "password"),
    [
        ("anna:secret", "anna", "secret"),
        ("anna%40example.com:p%3A%2F%25", "anna@example.com", "p:/%"),
        ("anna@example.com:se@c/r?e#t:", "anna@example.com", "se@c/r?e#t:"),
        ("%C3%A4nna:", "änna", None),
        ("anna", "anna", None),
    ],
)
def test_the_login_in_a_url(login: str, user: str, password: str | None):
    url = upstream_url(f"smtp://{login}@mail.example.com")
    assert (url.user, url.password.get_secret_value() if url.password else None) == (user, password)


@given(st.text(min_size=1).filter(str.isprintable), st.text(min_size=1).filter(str.isprintable))
def test_any_login_survives_percent_encoding(user: str, password: str):
    url = upstream_url(f"smtps://{quote(user, safe='')}:{quote(password, safe='')}@mail.example.com")
    assert url.password
    assert (url.user, url.password.get_secret_value(), url.host) == (user, password, "mail.example.com")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_loopback(host: str):
    assert upstream_url(f"smtp://{host}").loopback
    assert not upstream_url("smtp://localhost.example.com").loopback


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://mail.example.com", "smtp://HOST"),
        ("mail.example.com", "smtp://HOST"),
        ("", "smtp://HOST"),
        ("smtp://", "HOST"),
        ("smtp://:25", "HOST"),
        ("smtp://mail.example.com:0", "1 to 65535"),
        ("smtp://mail.example.com:65536", "1 to 65535"),
        ("smtp://mail.example.com:x", "HOST:PORT"),
        ("smtp://mail.example.com/inbox", "no path"),
        ("smtp://mail.example.com?tls=off", "no path"),
        ("smtp://2001:db8::1", "HOST:PORT"),
        ("smtp://[mail]", "IPv6"),
        ("smtp://a%zz@mail.example.com", "%25"),
        ("smtp://a%0ab@mail.example.com", "control characters"),
        ("smtp://m\u00e4il.example.com", "HOST"),
    ],
)
def test_what_is_no_url(text: str, words: str):
    with pytest.raises(PydanticCustomError, match=words):
        upstream_url(text)
