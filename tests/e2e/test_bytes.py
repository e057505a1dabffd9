"""The message that arrives is the message that was sent, octet for octet."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from .clients import CLIENTS, mail
from .dialogue import Dialogue, assert_explained

if TYPE_CHECKING:
    from collections.abc import Callable

    from .postfix_server import Postfix
    from .relay_process import Relay

EIGHT_BIT = bytes(octet for octet in range(1, 256) if octet not in b"\r\n")
BODIES = {
    "8-bit": EIGHT_BIT + b"\r\n" + "Grüße, 你好\r\n".encode(),
    "dot lines": b".\r\n..\r\n...\r\n.x\r\n. \r\n\r\n.\r\n",
    "blanks": b"trailing \t \r\n \r\n\t\r\n\r\n\r\n",
    "long lines": b"x" * 998 + b"\r\n" + b"y" * 5000 + b"\r\n",
    "mbox and headers": b"From here on\r\n>From\r\nReceived: not a header\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", BODIES)
def test_every_octet_arrives(name: str, server: Postfix, relay_to: Callable[..., Relay], token: str) -> None:
    message = mail(token).message + BODIES[name]
    _send(relay_to("mx").port, message)
    _assert_delivered(server, token, message)


def test_five_megabytes_arrive(server: Postfix, relay_to: Callable[..., Relay], token: str) -> None:
    lines = random.Random(5).choices([EIGHT_BIT, b".", b"", b"z" * 76, b"..dots"], k=80_000)
    message = mail(token).message + b"\r\n".join(lines) + b"\r\n"
    assert len(message) > 5_000_000
    relay = relay_to("mx")
    _send(relay.port, message)
    _assert_delivered(server, token, message)
    assert relay.messages()[0]["size"] == len(message)


@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_mail_program_sends_arrives_unchanged(
    client: str, server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    outcome = CLIENTS[client](mail(token), relay_to("mx").port)
    assert outcome.sent, outcome.output
    added_by_itself = b"\r\n" if client == "smtp-source" else b""
    _assert_delivered(server, token, mail(token).message + added_by_itself)


def test_several_mails_and_refusals_share_one_connection(
    server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    relay = relay_to("mx")
    with Dialogue(relay.port) as client:
        for number in range(3):
            client.say_mail("alice@corp.example")
            assert client.say_rcpt("nobody@corp.example").code == 550
            client.ask("RSET")
            client.sendmail("alice@corp.example", "bob@corp.example", mail(f"{token}-{number}").message)
    for number in range(3):
        _assert_delivered(server, f"{token}-{number}", mail(f"{token}-{number}").message)
    assert (len(relay.failures(3)), len(relay.messages(3))) == (3, 3)


def test_mails_sent_at_the_same_time_do_not_mix(server: Postfix, relay_to: Callable[..., Relay], token: str) -> None:
    relay = relay_to("mx")
    messages = {
        f"{token}-{number}": mail(f"{token}-{number}").message + b"%d\r\n" % number * 999 for number in range(20)
    }
    threads = [threading.Thread(target=_send, args=(relay.port, message)) for message in messages.values()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each, message in messages.items():
        _assert_delivered(server, f"{each}@", message)
    assert len(relay.messages(20)) == 20


@pytest.mark.parametrize("name", BODIES)
def test_every_octet_arrives_in_chunks(name: str, server: Postfix, relay_to: Callable[..., Relay], token: str) -> None:
    message = mail(token).message + BODIES[name]
    first, second = message[:100], message[100:]
    with Dialogue(relay_to("mx").port) as client:
        assert "chunking" in client.esmtp_features
        client.say_mail("alice@corp.example", " BODY=8BITMIME")
        client.say_rcpt("bob@corp.example")
        client.send(b"BDAT %d\r\n" % len(first) + first)
        assert client.hear().code == 250
        client.send(b"BDAT %d LAST\r\n" % len(second) + second)
        assert client.hear().code == 250
    _assert_delivered(server, token, message)


def test_the_parameters_for_delivery_notes_reach_the_server_as_they_were_written(
    server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    with Dialogue(relay_to("mx").port) as client:
        assert client.say_mail("alice@corp.example", f" RET=HDRS ENVID=aBc-{token}").code == 250
        note = "NOTIFY=SUCCESS ORCPT=rfc822;Robert+2B1@Old.Example"
        assert client.ask(f"RCPT TO:<bob@corp.example> {note}").code == 250
        assert client.say_data(mail(token).message).code == 250
    note_of_success = server.delivered("alice", f"aBc-{token}")
    assert f"Original-Envelope-Id: aBc-{token}".encode() in note_of_success
    assert b"Original-Recipient: rfc822;Robert+1@Old.Example" in note_of_success


def test_an_address_outside_ascii_is_passed_on_and_explained(
    server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    with Dialogue(relay_to("mx").port) as client:
        client.command_encoding = "utf-8"
        assert client.say_mail(f"grüße-{token}@corp.example", " SMTPUTF8").code == 250
        assert "üşer@corp.example" in client.say_rcpt("üşer@corp.example").text
        assert client.say_rcpt("bob@corp.example").code == 250
        assert client.say_data(mail(token).message).code == 250
    assert f"<grüße-{token}@corp.example>".encode() in server.delivered("bob", token)


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r"], ids=repr)
def test_a_mail_hidden_behind_a_false_end_never_arrives(
    end: bytes, server: Postfix, relay_to: Callable[..., Relay], token: str
) -> None:
    hidden = b"MAIL FROM:<alice@corp.example>\r\nRCPT TO:<bob@corp.example>\r\nDATA\r\n" + mail(token).message
    with Dialogue(relay_to("mx").port) as client:
        client.say_mail("alice@corp.example")
        client.say_rcpt("bob@corp.example")
        client.ask("DATA")
        client.send(mail(f"{token}-outer").message + end + hidden + b".\r\n")
        assert_explained(client.hear(), 550, "5.6.11", "stands alone")
        client.sendmail("alice@corp.example", "bob@corp.example", mail(f"{token}-after").message)
    assert server.delivered("bob", f"{token}-after")  # what came before it would have arrived by now
    assert server.find("bob", f"{token}@") is None
    assert server.find("bob", f"{token}-outer") is None


def _send(port: int, message: bytes) -> None:
    with Dialogue(port) as client:
        client.sendmail("alice@corp.example", "bob@corp.example", message, mail_options=("BODY=8BITMIME",))


def _assert_delivered(server: Postfix, token: str, message: bytes) -> None:
    """As stored, Postfix has put its own header before it and made each CRLF a LF; nobody else has added a line."""
    stored, expected = server.delivered("bob", token), message.replace(b"\r\n", b"\n")
    assert stored.endswith(expected)
    assert stored.removesuffix(expected).count(b"Received:") == 1
