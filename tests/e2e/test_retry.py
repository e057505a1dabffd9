"""Temporary failures of a real Postfix: greylisting outwaited, a stop bridged by the spool."""

from __future__ import annotations

import smtplib
from typing import TYPE_CHECKING

import pytest

from .programs import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .postfix_server import Postfix
    from .relay_process import Relay

MAILS = 200


def send(relay: Relay, sender: str, token: str) -> None:
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=60, local_hostname="client.example") as client:
        client.sendmail(sender, "alice@corp.example", f"Subject: {token}\r\n\r\n{token}\r\n")


def test_greylisting_is_outwaited_while_the_client_waits(server: Postfix, relay_to: Callable[..., Relay], token: str):
    relay = relay_to("greylisting_briefly", retry__mode="inline", retry__inline__first="0.2")
    send(relay, f"{token}@corp.example", token)
    assert server.delivered("alice", token)
    refused = server.logged("postfix/greylisting_briefly", "450 4.2.0", token)
    assert len(refused) == 1  # accepted at the second try


def test_a_server_that_asks_for_minutes_is_not_waited_for(relay_to: Callable[..., Relay], token: str):
    relay = relay_to("greylisting", retry__mode="inline")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send(relay, f"{token}@corp.example", token)
    code, words = refused.value.recipients["alice@corp.example"]
    assert (code, b"try again in 5 minutes" in words, b"The relay tried" in words) == (450, True, False)


def test_mail_sent_while_postfix_is_stopped_is_delivered_exactly_once(
    server: Postfix, relay_to: Callable[..., Relay], tmp_path: Path, token: str
):
    database = f"sqlite:///{tmp_path}/spool.db"
    relay = relay_to("mx", retry__mode="spool", retry__spool__first="0.5", database__url=database)
    server.stop()
    try:
        for number in range(MAILS):
            send(relay, "bob@corp.example", f"{token}-{number}.")
    finally:
        server.start()

    def arrived() -> list[bytes] | None:
        found = [mail for mail in server.mailbox("alice") if token.encode() in mail]
        return found if len(found) >= MAILS else None

    mails = wait_for(arrived, f"{MAILS} mails in the mailbox", 60)
    wait_for(lambda: len(relay.written().split("spool_delivered")) > MAILS, "every delivery in the relay's log")
    counts = [sum(f"{token}-{number}.".encode() in mail for mail in mails) for number in range(MAILS)]
    assert counts == [1] * MAILS
