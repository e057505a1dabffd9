"""Logging in through the relay: a real Dovecot, real mail programs, and no trace of the password anywhere."""

from __future__ import annotations

import base64
import dataclasses
import re
from typing import TYPE_CHECKING

import pytest

from .clients import CLIENTS, mail
from .dialogue import WHOSE_MOVE, Dialogue, assert_explained, plain
from .dovecot_server import PASSWORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .postfix_server import Postfix
    from .relay_process import Relay

RIGHT = ("alice", PASSWORDS["alice"])
WRONG = ("alice", "not-Her-Password-9")
CAN_LOG_IN = tuple(name for name in CLIENTS if name != "smtp-source")


@pytest.mark.parametrize("client", CAN_LOG_IN)
def test_with_the_right_password_each_mail_program_gets_its_mail_through(
    client: str, server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    outcome = CLIENTS[client](dataclasses.replace(mail(token), login=RIGHT), relay_to("login").port)
    assert outcome.sent, outcome.output
    assert server.delivered("bob", token)


@pytest.mark.parametrize("client", CAN_LOG_IN)
def test_with_a_wrong_password_each_mail_program_shows_the_explanation(
    client: str, relay_to: Callable[..., Relay], token: str
) -> None:
    relay = relay_to("login")
    outcome = CLIENTS[client](dataclasses.replace(mail(token), login=WRONG), relay.port)
    assert not outcome.sent
    assert "535" in outcome.output
    assert WHOSE_MOVE in outcome.output
    shown = dict.fromkeys(re.findall(r"\[ref (\w{6})\]", outcome.output))  # some show each of several tries
    tries = 2 if client == "smtplib" else len(shown)  # it goes on to LOGIN when PLAIN is refused, and shows the last
    (failure,) = (each for each in relay.failures(tries) if each["ref"] == list(shown)[-1])
    assert (failure["phase"], failure["code"], failure["reason"]) == ("auth", 535, "authcredentials")


def test_a_wrong_password_keeps_the_codes_and_the_right_one_may_follow(relay_to: Callable[..., Relay]) -> None:
    relay = relay_to("login")
    with Dialogue(relay.port) as client:
        assert_explained(client.log_in(*WRONG), 535, "5.7.8", "authentication failed")
        assert client.log_in(*RIGHT).code == 235
        assert client.say_mail("alice@corp.example").code == 250
    assert len(relay.failures()) == 1


def test_explained_at_mail_a_wrong_password_is_told_where_mail_programs_show_it(
    server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    relay = relay_to("login", reply__explain_login_at="mail")
    with Dialogue(relay.port) as client:
        assert client.log_in(*WRONG).code == 235
        assert_explained(client.say_mail("alice@corp.example"), 535, "5.7.8", "authentication failed")
        assert client.say_rcpt("bob@corp.example").code >= 500
        assert client.ask("DATA").code >= 500
        assert_explained(client.say_mail("alice@corp.example"), 535, "5.7.8", "authentication failed")
    assert server.find("bob", token) is None


def test_explained_at_mail_a_real_mail_program_shows_the_explanation(
    relay_to: Callable[..., Relay], token: str
) -> None:
    relay = relay_to("login", reply__explain_login_at="mail")
    outcome = CLIENTS["nodemailer"](dataclasses.replace(mail(token), login=WRONG), relay.port)
    assert not outcome.sent
    assert outcome.output.startswith("EENVELOPE 535")
    assert WHOSE_MOVE in outcome.output


def test_explained_at_mail_the_right_password_still_gets_the_mail_through(
    server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    relay = relay_to("login", reply__explain_login_at="mail")
    outcome = CLIENTS["swaks"](dataclasses.replace(mail(token), login=RIGHT), relay.port)
    assert outcome.sent, outcome.output
    assert server.delivered("bob", token)


@pytest.mark.parametrize("port", ["login", "login_over_tls"])
def test_the_relay_logs_in_for_clients_that_cannot(
    port: str, server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    own = {"upstream__user": "alice", "upstream__password": PASSWORDS["alice"]}
    relay = relay_to(port, **own, upstream__tls__ca_file=str(server.certificates.authority))
    outcome = CLIENTS["smtp-source"](mail(token), relay.port)
    assert outcome.sent, outcome.output
    assert b"Hello Bob." in server.delivered("bob", token)


def test_a_wrong_password_of_the_relay_itself_is_explained_at_mail(relay_to: Callable[..., Relay]) -> None:
    relay = relay_to("login", upstream__user=WRONG[0], upstream__password=WRONG[1])
    with Dialogue(relay.port) as client:
        answer = client.say_mail("alice@corp.example")
    assert_explained(answer, 535, "5.7.8", "authentication failed")
    assert relay.failures()[0]["phase"] == "auth"


@pytest.mark.parametrize("client", ["swaks", "nodemailer", "curl"])
def test_no_password_is_written_anywhere(client: str, relay_to: Callable[..., Relay], token: str) -> None:
    relay = relay_to("login")
    for login in (WRONG, RIGHT):
        CLIENTS[client](dataclasses.replace(mail(token), login=login), relay.port)
    relay.messages()
    written = relay.written()
    for user, password in (WRONG, RIGHT):
        assert password not in written
        assert base64.b64encode(password.encode()).decode() not in written
        assert plain(user, password) not in written
