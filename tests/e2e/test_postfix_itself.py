"""The conversation before there was a relay: each port refuses what it is there to refuse, in Postfix's words."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from .clients import CLIENTS, mail
from .dovecot_server import PASSWORDS
from .postfix_server import SIZE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .postfix_server import Postfix

    Talk = Callable[[str], smtplib.SMTP]


@pytest.fixture
def talk(server: Postfix) -> Iterator[Talk]:
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(smtplib.SMTP("127.0.0.1", server.ports[port], timeout=10))


@pytest.mark.parametrize("client", CLIENTS)
def test_each_mail_program_delivers_to_a_known_user(client: str, server: Postfix, token: str) -> None:
    outcome = CLIENTS[client](mail(token), server.ports["mx"])
    assert outcome.sent, outcome.output
    assert b"Hello Bob." in server.delivered("bob", token)


@pytest.mark.parametrize("client", CLIENTS)
def test_each_mail_program_shows_what_the_server_said_of_an_unknown_user(
    client: str, server: Postfix, token: str
) -> None:
    outcome = CLIENTS[client](mail(token, recipient="nobody@corp.example"), server.ports["mx"])
    assert not outcome.sent
    assert "550" in outcome.output
    assert "5.1.1 <nobody@corp.example>: Recipient address rejected: User unknown" in outcome.output


@pytest.mark.parametrize(
    ("port", "recipient", "code", "words"),
    [
        ("mx", "nobody@corp.example", 550, b"5.1.1 <nobody@corp.example>: Recipient address rejected: User unknown"),
        ("mx", "eve@elsewhere.example", 554, b"5.7.1 <eve@elsewhere.example>: Relay access denied"),
        ("mx", "full@corp.example", 452, b"4.2.2 <full@corp.example>: Recipient address rejected: Mailbox full"),
        ("greylisting", "bob@corp.example", 450, b"4.2.0 <bob@corp.example>: Recipient address rejected: Greylisted"),
        ("login", "bob@corp.example", 553, b"5.7.1 <alice@corp.example>: Sender address rejected: not logged in"),
    ],
)
def test_a_recipient_is_refused(talk: Talk, port: str, recipient: str, code: int, words: bytes) -> None:
    session = talk(port)
    session.ehlo()
    session.mail("alice@corp.example")
    found, text = session.rcpt(recipient)
    assert (found, text[: len(words)]) == (code, words)


def test_greylisting_lets_the_second_try_in(talk: Talk, token: str) -> None:
    session = talk("greylisting")
    session.ehlo()
    session.mail(f"{token}@corp.example")
    assert session.rcpt("bob@corp.example")[0] == 450
    assert session.rcpt("bob@corp.example")[0] == 250


def test_a_message_that_says_it_is_too_big_is_refused_at_mail(talk: Talk) -> None:
    session = talk("small")
    session.ehlo()
    assert session.mail("a@corp.example", [f"SIZE={SIZE_LIMIT + 1}"])[:1] == (552,)


def test_a_message_found_too_big_is_refused_after_its_end(talk: Talk) -> None:
    session = talk("small")
    session.ehlo()
    session.mail("a@corp.example")
    session.rcpt("bob@corp.example")
    code, words = session.data(b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" * SIZE_LIMIT)
    assert (code, words[:5]) == (552, b"5.3.4")


def test_a_login_is_right_or_wrong(talk: Talk) -> None:
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        talk("login").login("alice", "wrong")
    assert (refused.value.smtp_code, refused.value.smtp_error[:5]) == (535, b"5.7.8")
    assert talk("login").login("alice", PASSWORDS["alice"])[0] == 235


def test_a_sender_that_is_not_the_logins_own_is_refused(talk: Talk) -> None:
    session = talk("login")
    session.login("alice", PASSWORDS["alice"])
    session.mail("bob@corp.example")
    code, words = session.rcpt("bob@corp.example")
    assert (code, words) == (553, b"5.7.1 <bob@corp.example>: Sender address rejected: not owned by user alice")


def test_tls_works_with_the_test_authority(talk: Talk, server: Postfix) -> None:
    session = talk("starttls")
    session.starttls(context=_trust(server))
    session.sendmail("alice@corp.example", ["bob@corp.example"], b"")
    with smtplib.SMTP_SSL("127.0.0.1", server.ports["wrapped"], context=_trust(server), timeout=10) as wrapped:
        assert wrapped.noop()[0] == 250


@pytest.mark.parametrize(
    ("port", "complaint"),
    [
        ("wrong_name", "IP address mismatch"),
        ("expired", "certificate has expired"),
        ("unknown_authority", "unable to get local issuer certificate"),
    ],
)
def test_a_bad_certificate_is_bad_for_the_reason_it_was_made_for(
    talk: Talk, server: Postfix, port: str, complaint: str
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=complaint):
        talk(port).starttls(context=_trust(server))


def test_login_over_tls_is_refused_before_tls(talk: Talk, server: Postfix) -> None:
    session = talk("login_over_tls")
    session.ehlo()
    assert session.mail("alice@corp.example")[0] == 530
    session.starttls(context=_trust(server))
    assert session.login("alice", PASSWORDS["alice"])[0] == 235


def _trust(server: Postfix) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.certificates.authority)
