"""What the relay writes down of a real refusal and of a real delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .clients import mail
from .dialogue import Dialogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from .relay_process import Relay


def test_a_refusal_is_one_line_with_all_its_facts(relay_to: Callable[..., Relay]) -> None:
    relay = relay_to("mx")
    with Dialogue(relay.port) as client:
        client.say_mail("alice@corp.example", " SIZE=1234")
        answer = client.say_rcpt("nobody@corp.example")
    (failure,) = relay.failures()
    expected = {
        "phase": "rcpt",
        "code": 550,
        "status": "5.1.1",
        "reason": "userunknown",
        "who": "sender",
        "retry": "no",
        "sender": "alice@corp.example",
        "recipient": "nobody@corp.example",
        "tls": False,
        "size": 1234,
    }
    assert {name: failure[name] for name in expected} == expected
    assert f"[ref {failure['ref']}]" in answer.text
    assert "Recipient address rejected: User unknown in virtual mailbox table" in " ".join(failure["words"])
    assert failure["upstream"] == "127.0.0.1"
    assert "127.0.0.1" in failure["client"]
    assert not failure["login"]
    assert 0 <= failure["duration"] < 30
    assert failure["page"]


def test_each_refusal_has_a_line_and_a_reference_of_its_own(relay_to: Callable[..., Relay]) -> None:
    relay = relay_to("mx")
    with Dialogue(relay.port) as client:
        client.say_mail("alice@corp.example")
        for number in range(5):
            client.say_rcpt(f"nobody{number}@corp.example")
        client.say_rcpt("bob@corp.example")
        client.ask("RSET")
    failures = relay.failures(5)
    assert [failure["recipient"] for failure in failures] == [f"nobody{number}@corp.example" for number in range(5)]
    assert len({failure["ref"] for failure in failures}) == 5


def test_a_passed_message_is_one_line(relay_to: Callable[..., Relay], token: str) -> None:
    relay = relay_to("mx")
    with Dialogue(relay.port) as client:
        client.sendmail("alice@corp.example", "bob@corp.example", mail(token).message)
    (message,) = relay.messages()
    assert message["sender"] == "alice@corp.example"
    assert message["size"] == len(mail(token).message)


def test_a_delivery_writes_no_refusal(relay_to: Callable[..., Relay], token: str) -> None:
    relay = relay_to("mx")
    with Dialogue(relay.port) as client:
        client.sendmail("alice@corp.example", "bob@corp.example", mail(token).message)
    relay.messages()
    assert "relay_failure" not in relay.written()
