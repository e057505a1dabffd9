"""TLS on the way to the server: mail passes where the certificate is right, and none at all where it is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .clients import mail
from .dialogue import Dialogue, assert_explained
from .programs import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from .postfix_server import Postfix
    from .relay_process import Relay


@pytest.mark.parametrize(("scheme", "port"), [("smtp", "starttls"), ("smtps", "wrapped")])
def test_mail_reaches_the_server_over_tls(
    scheme: str, port: str, server: Postfix, start_relay: Callable[..., Relay], token: str
) -> None:
    authority = str(server.certificates.authority)
    relay = start_relay("--upstream", server.url(port, scheme), upstream__tls__ca_file=authority)
    with Dialogue(relay.port) as client:
        client.sendmail("alice@corp.example", "bob@corp.example", mail(token).message)
    assert b"using TLSv1.3" in server.delivered("bob", token)
    assert relay.messages()[0]["tls"]


def test_a_refusal_over_tls_is_explained_and_logged_as_such(server: Postfix, relay_to: Callable[..., Relay]) -> None:
    relay = relay_to("starttls", upstream__tls__ca_file=str(server.certificates.authority))
    with Dialogue(relay.port) as client:
        client.say_mail("alice@corp.example")
        assert_explained(client.say_rcpt("nobody@corp.example"), 550, "5.1.1", "User unknown")
    assert relay.failures()[0]["tls"]


@pytest.mark.parametrize(
    ("port", "words"),
    [
        ("expired", "expired"),
        ("wrong_name", "127.0.0.1"),
        ("unknown_authority", "issue"),
    ],
)
def test_with_a_bad_certificate_mail_is_refused_and_nothing_passes(
    port: str, words: str, server: Postfix, relay_to: Callable[..., Relay]
) -> None:
    relay = relay_to(port, upstream__tls__ca_file=str(server.certificates.authority))
    with Dialogue(relay.port) as client:
        assert_explained(client.say_mail("alice@corp.example"), 451, "4.7.5", words)
        assert client.say_rcpt("bob@corp.example").code >= 400
    (goodbye, *_) = wait_for(lambda: server.logged(f"postfix/{port}/smtpd", "disconnect from"), "Postfix's goodbye")
    assert "starttls=" in goodbye
    assert " mail=" not in goodbye
    failure, *_ = relay.failures()
    assert (failure["phase"], failure["reason"]) == ("starttls", "failedstarttls")


def test_without_the_test_authority_the_good_certificate_is_refused_too(relay_to: Callable[..., Relay]) -> None:
    with Dialogue(relay_to("starttls").port) as client:
        assert_explained(client.say_mail("alice@corp.example"), 451, "4.7.5", "issue")


def test_a_certificate_for_another_name_is_right_where_that_name_is_expected(
    server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    trust = {"upstream__tls__ca_file": str(server.certificates.authority)}
    relay = relay_to("named_elsewhere", **trust, upstream__tls__server_name="mail.elsewhere.example")
    with Dialogue(relay.port) as client:
        client.sendmail("alice@corp.example", "bob@corp.example", mail(token).message)
    assert b"using TLSv1.3" in server.delivered("bob", token)


def test_without_encryption_only_where_it_is_asked_for_by_name(
    server: Postfix, start_relay: Callable[..., Relay], token: str
) -> None:
    relay = start_relay("--upstream", server.url("starttls", "smtp+plain"))
    with Dialogue(relay.port) as client:
        client.sendmail("alice@corp.example", "bob@corp.example", mail(token).message)
    assert b"using TLS" not in server.delivered("bob", token)
    assert not relay.messages()[0]["tls"]
