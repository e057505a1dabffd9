"""The sequences of `hostile/smuggling.py`, through the relay to a real Postfix: no second mail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "hostile"))
from smuggling import SEQUENCES, smuggled

from .clients import mail
from .dialogue import Dialogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from .postfix_server import Postfix
    from .relay_process import Relay


@pytest.mark.parametrize("policy", ["reject", "normalize"])
def test_no_second_mail_is_smuggled_in(
    policy: str, server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    relay = relay_to("mx", message__bare_newline=policy)
    marks = [f"{token}-{policy}-{number}" for number in range(len(SEQUENCES))]
    verdicts = [_send(relay.port, smuggled(*each)) for each in _messages(marks)]
    assert verdicts == [250 if policy == "normalize" and b"\0" not in sequence else 550 for sequence in SEQUENCES]
    _wait_for_a_later_mail(server, relay, f"{token}-{policy}-later")
    for mark, verdict in zip(marks, verdicts, strict=True):
        assert server.logged(f"from=<evil-{mark}@") == ()
        if verdict == 250:
            assert server.delivered("bob", f"{mark}-first") == server.delivered("bob", f"{mark}-second")
        else:
            assert server.find("bob", mark) is None


def _messages(marks: list[str]) -> list[tuple[bytes, bytes, bytes]]:
    return [(sequence, b"bob@corp.example", mark.encode()) for sequence, mark in zip(SEQUENCES, marks, strict=True)]


def _send(port: int, octets: bytes) -> int:
    """Say the message as it is; whatever else is answered would be answered to the second mail."""
    with Dialogue(port) as client:
        client.say_mail("alice@corp.example")
        client.say_rcpt("bob@corp.example")
        client.ask("DATA")
        client.send(octets)
        verdict, bye = client.hear(), client.hear()
        assert bye.code == 221
        client.close()
        return verdict.code


def _wait_for_a_later_mail(server: Postfix, relay: Relay, token: str) -> None:
    """Postfix delivers in the order of arrival here; this one comes last."""
    with Dialogue(relay.port) as client:
        client.sendmail("alice@corp.example", "bob@corp.example", mail(token).message)
    server.delivered("bob", token)
