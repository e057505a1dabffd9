"""One client after the other through connections that are kept: nothing of the one is left over for the next."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .clients import mail
from .dialogue import Dialogue, assert_explained
from .dovecot_server import PASSWORDS
from .programs import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from .postfix_server import Postfix
    from .relay_process import Relay


def test_a_login_is_not_left_to_the_next_client(relay_to: Callable[..., Relay]) -> None:
    relay = relay_to("login")
    with Dialogue(relay.port) as alice:
        assert alice.log_in("alice", PASSWORDS["alice"]).code == 235
        alice.say_mail("alice@corp.example")
        assert alice.say_rcpt("bob@corp.example").code == 250
    with Dialogue(relay.port) as stranger:
        stranger.say_mail("alice@corp.example")
        assert_explained(stranger.say_rcpt("bob@corp.example"), 553, "5.7.1", "not logged in")
        stranger.ask("RSET")
        stranger.say_mail("carol@elsewhere.example")
        assert_explained(stranger.say_rcpt("eve@elsewhere.example"), 554, "5.7.1", "Relay access denied")
    with Dialogue(relay.port) as bob:
        assert bob.log_in("bob", PASSWORDS["bob"]).code == 235
        bob.say_mail("alice@corp.example")
        assert_explained(bob.say_rcpt("bob@corp.example"), 553, "5.7.1", "not owned by user bob")


def test_two_logins_at_the_same_time_stay_apart(relay_to: Callable[..., Relay]) -> None:
    relay = relay_to("login")
    with Dialogue(relay.port) as alice, Dialogue(relay.port) as bob:
        assert alice.log_in("alice", PASSWORDS["alice"]).code == 235
        assert bob.log_in("bob", PASSWORDS["bob"]).code == 235
        for client, own, other in ((alice, "alice", "bob"), (bob, "bob", "alice")):
            client.say_mail(f"{other}@corp.example")
            assert client.say_rcpt("bob@corp.example").code == 553
            client.ask("RSET")
            client.say_mail(f"{own}@corp.example")
            assert client.say_rcpt("bob@corp.example").code == 250


def test_a_mail_that_was_begun_is_not_left_to_the_next_client(
    server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    relay = relay_to("mx")
    vanishing = Dialogue(relay.port)
    vanishing.say_mail("alice@corp.example")
    vanishing.say_rcpt("alice@corp.example")
    vanishing.close()
    with Dialogue(relay.port) as client:
        client.sendmail("alice@corp.example", "bob@corp.example", mail(token).message)
    assert server.delivered("bob", token)
    assert server.find("alice", token) is None


def test_a_client_that_vanishes_inside_its_message_has_sent_nothing(
    server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    relay = relay_to("mx")
    vanishing = Dialogue(relay.port)
    vanishing.say_mail("alice@corp.example")
    vanishing.say_rcpt("bob@corp.example")
    assert vanishing.ask("DATA").code == 354
    vanishing.send(mail(f"{token}-half").message)
    vanishing.close()
    with Dialogue(relay.port) as client:
        client.sendmail("alice@corp.example", "bob@corp.example", mail(f"{token}-after").message)
    assert server.delivered("bob", f"{token}-after")
    assert server.find("bob", f"{token}-half") is None


def test_a_kept_connection_that_the_server_gave_up_is_replaced_unnoticed(
    server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    relay = relay_to("impatient")
    for number in range(2):
        with Dialogue(relay.port) as client:
            client.sendmail("alice@corp.example", "bob@corp.example", mail(f"{token}-{number}").message)
        wait_for(partial(_gave_up, server, times=number + 1), "Postfix to give up the idle connection")
    assert server.delivered("bob", f"{token}-0")
    assert server.delivered("bob", f"{token}-1")
    assert "relay_failure" not in relay.written()


def _gave_up(server: Postfix, times: int) -> bool:
    return len(server.logged("postfix/impatient/smtpd", "timeout after")) == times
