"""What Postfix refuses, the relay explains at that very command, and the codes stay Postfix's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from .clients import mail
from .dialogue import Dialogue, assert_explained
from .dovecot_server import PASSWORDS
from .postfix_server import SIZE_LIMIT
from .programs import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable

    from .postfix_server import Postfix
    from .relay_process import Relay


class Refusal(NamedTuple):
    port: str
    recipient: str
    code: int
    status: str
    words: str
    reason: str
    about: str  # the address that was at fault, which the explanation must name


REFUSED_RECIPIENTS = (
    Refusal(
        "mx",
        "nobody@corp.example",
        550,
        "5.1.1",
        "User unknown in virtual mailbox table",
        "userunknown",
        "nobody@corp.example",
    ),
    Refusal("mx", "eve@elsewhere.example", 554, "5.7.1", "Relay access denied", "norelaying", "eve@elsewhere.example"),
    Refusal("mx", "full@corp.example", 452, "4.2.2", "Mailbox full", "mailboxfull", "full@corp.example"),
    Refusal(
        "login",
        "bob@corp.example",
        553,
        "5.7.1",
        "Sender address rejected: not logged in",
        "authrequired",
        "alice@corp.example",
    ),
)


@pytest.mark.parametrize("refusal", REFUSED_RECIPIENTS, ids=lambda refusal: refusal.reason)
def test_a_refused_recipient_is_explained_under_the_servers_own_codes(
    refusal: Refusal, relay_to: Callable[..., Relay]
) -> None:
    relay = relay_to(refusal.port)
    with Dialogue(relay.port) as client:
        assert client.say_mail("alice@corp.example").code == 250
        answer = client.say_rcpt(refusal.recipient)
    assert_explained(answer, refusal.code, refusal.status, refusal.words)
    assert refusal.about in answer.text
    (failure,) = relay.failures()
    assert (failure["phase"], failure["reason"]) == ("rcpt", refusal.reason)


def test_the_first_line_of_an_unknown_user_names_the_address_and_stands_alone(relay_to: Callable[..., Relay]) -> None:
    with Dialogue(relay_to("mx").port) as client:
        client.say_mail("alice@corp.example")
        first = client.say_rcpt("nobody@corp.example").lines[0]
    assert first.startswith("5.1.1 ")
    assert "nobody@corp.example" in first


def test_of_two_recipients_the_good_one_gets_the_mail(
    server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    with Dialogue(relay_to("mx").port) as client:
        client.say_mail("alice@corp.example")
        assert client.say_rcpt("nobody@corp.example").code == 550
        assert client.say_rcpt("bob@corp.example").code == 250
        assert client.say_data(mail(token).message).code == 250
    assert b"Hello Bob." in server.delivered("bob", token)


def test_a_greylisted_mail_is_let_in_at_the_second_try(
    server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    sender = f"{token}@corp.example"
    relay = relay_to("greylisting")
    with Dialogue(relay.port) as client:
        client.say_mail(sender)
        assert_explained(client.say_rcpt("bob@corp.example"), 450, "4.2.0", "Greylisted, please try again")
        client.ask("RSET")
        client.sendmail(sender, "bob@corp.example", mail(token).message)
    assert server.delivered("bob", token)
    (failure,) = relay.failures()
    assert (failure["reason"], failure["who"], failure["retry"]) == ("greylisted", "nobody", "later")


def test_a_message_that_says_it_is_too_big_is_refused_at_mail(relay_to: Callable[..., Relay]) -> None:
    relay = relay_to("small")
    with Dialogue(relay.port) as client:
        assert client.esmtp_features["size"] == str(SIZE_LIMIT)
        answer = client.say_mail("alice@corp.example", f" SIZE={SIZE_LIMIT + 1}")
    assert_explained(answer, 552, "5.3.4", "Message size exceeds fixed limit")
    (failure,) = relay.failures()
    assert (failure["phase"], failure["reason"], failure["size"]) == ("mail", "messagetoobig", SIZE_LIMIT + 1)


def test_a_message_found_too_big_is_refused_at_its_end(relay_to: Callable[..., Relay], token: str) -> None:
    message = mail(token).message + (b"x" * 70 + b"\r\n") * (SIZE_LIMIT // 60)
    relay = relay_to("small")
    with Dialogue(relay.port) as client:
        client.say_mail("alice@corp.example")
        client.say_rcpt("bob@corp.example")
        answer = client.say_data(message)
        assert client.ask("NOOP").code == 250
    assert answer.code == 552
    assert answer.statuses == {"5.3.4"}
    (failure,) = relay.failures()
    assert (failure["phase"], failure["reason"], failure["size"]) == ("message", "messagetoobig", len(message))


@pytest.mark.parametrize(("too_long_by", "code"), [(0, 250), (1, 552)])
def test_the_relays_own_limit_counts_the_octets_of_the_message_alone(
    too_long_by: int, code: int, relay_to: Callable[..., Relay], token: str
) -> None:
    message = mail(token).message + b".lines with a dot in front go over the wire with two (RFC 5321 section 4.5.2)\r\n"
    relay = relay_to("mx", limits__message_size=str(len(message) - too_long_by))
    with Dialogue(relay.port) as client:
        client.say_mail("alice@corp.example")
        client.say_rcpt("bob@corp.example")
        assert client.say_data(message).code == code


def test_a_sender_that_is_not_the_logins_own_is_explained(relay_to: Callable[..., Relay]) -> None:
    relay = relay_to("login")
    with Dialogue(relay.port) as client:
        assert client.log_in("alice", PASSWORDS["alice"]).code == 235
        client.say_mail("bob@corp.example")
        answer = client.say_rcpt("bob@corp.example")
    assert_explained(answer, 553, "5.7.1", "Sender address rejected: not owned by user alice")
    (failure,) = relay.failures()
    assert failure["reason"] == "sendernotowned"


def test_an_upstream_that_is_down_is_explained_at_mail(start_relay: Callable[..., Relay]) -> None:
    (nothing_listens_here,) = free_ports(1)
    relay = start_relay("--upstream", f"smtp://127.0.0.1:{nothing_listens_here}")
    with Dialogue(relay.port) as client:
        answer = client.say_mail("alice@corp.example")
    assert_explained(answer, 451, "4.4.1", "refused")
    assert relay.failures()[0]["reason"] == "networkerror"
