"""Real mail programs, real servers, the relay between them: people see the explanation in the program they use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .clients import CLIENTS, mail
from .dialogue import WHOSE_MOVE

if TYPE_CHECKING:
    from collections.abc import Callable

    from .postfix_server import Postfix
    from .relay_process import Relay


@pytest.mark.parametrize("client", CLIENTS)
def test_each_mail_program_shows_the_explanation_of_an_unknown_user(
    client: str, relay_to: Callable[..., Relay], token: str
) -> None:
    relay = relay_to("mx")
    outcome = CLIENTS[client](mail(token, recipient="nobody@corp.example"), relay.port)
    failure = _refused_recipient(relay)
    assert not outcome.sent
    assert "550" in outcome.output
    assert "5.1.1" in outcome.output
    assert "nobody@corp.example" in outcome.output
    assert f"{WHOSE_MOVE}yours" in outcome.output
    assert f"[ref {failure['ref']}]" in outcome.output


def test_a_mail_server_that_sends_through_the_relay_delivers(server: Postfix, office: Relay, token: str) -> None:
    assert CLIENTS["smtplib"](mail(token), server.ports["office"]).sent
    assert b"Hello Bob." in server.delivered("bob", token)
    assert len(office.messages()) == 1


def test_a_mail_server_that_sends_through_the_relay_returns_the_explanation_to_the_author(
    server: Postfix, office: Relay, token: str
) -> None:
    assert CLIENTS["smtplib"](mail(token, recipient="nobody@corp.example"), server.ports["office"]).sent
    bounce = " ".join(server.delivered("alice", token).decode().split())
    failure = _refused_recipient(office)
    assert "The mail system <nobody@corp.example>" in bounce
    assert f"{WHOSE_MOVE}yours" in bounce
    assert f"[ref {failure['ref']}]" in bounce


@pytest.mark.parametrize("client", ["swaks", "curl"])
def test_the_practice_upstream_takes_mail(client: str, start_relay: Callable[..., Relay], token: str) -> None:
    outcome = CLIENTS[client](mail(token), start_relay("--practice").port)
    assert outcome.sent, outcome.output


@pytest.mark.parametrize("client", ["swaks", "curl"])
def test_the_practice_upstream_refuses_what_it_is_asked_to_refuse(
    client: str, start_relay: Callable[..., Relay], token: str
) -> None:
    relay = start_relay("--practice")
    outcome = CLIENTS[client](mail(token, recipient="user-unknown@gmail.example"), relay.port)
    (failure,) = relay.failures()
    assert not outcome.sent
    assert WHOSE_MOVE in outcome.output
    assert f"[ref {failure['ref']}]" in outcome.output
    assert failure["reason"] == "userunknown"


@pytest.fixture
def office(server: Postfix, start_relay: Callable[..., Relay]) -> Relay:
    """A relay where the server's port named `office` sends everything on to."""
    return start_relay("--upstream", server.url("mx"), port=server.surroundings.office_relay_port)


def _refused_recipient(relay: Relay) -> dict[str, Any]:
    """The one refused recipient in the log; a program that pipelines has heard a second refusal, of DATA, after it."""
    failure, *others = relay.failures()
    assert failure["phase"] == "rcpt"
    assert all(other["phase"] == "data" for other in others), others
    return failure
