"""The spool at work, in a relay of its own process: what was kept arrives, once, when it can."""

from __future__ import annotations

import smtplib
from typing import TYPE_CHECKING

import pytest
from retry_relay import wait_for

from relay.retry.spool import CHUNK_OCTETS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from retry_relay import Relay
    from retry_upstream import Upstream


def test_mail_sent_while_the_upstream_is_down_arrives_once_when_it_is_up(
    upstream: Upstream, relays: Callable[..., Relay], database: str
):
    upstream.down()
    relay = relays(retry__mode="spool", database__url=database)
    for number in range(40):
        relay.send(f"r{number}@b.test", f"mail {number}")
    assert upstream.received == []
    upstream.up()
    wait_for(lambda: len(upstream.received) >= 40, "all mails")
    wait_for(lambda: len(relay.events("spool_delivered")) >= 40, "all deliveries in the log")
    relay.stop()
    assert sorted(upstream.reached()) == sorted(b"<r%d@b.test>" % number for number in range(40))


def test_a_mail_may_be_half_live_and_half_kept_and_nobody_gets_it_twice(
    upstream: Upstream, relays: Callable[..., Relay], database: str
):
    relay = relays(retry__mode="spool", database__url=database)
    with relay.client() as client:
        refused = client.sendmail(
            "anna@a.test", ["now@b.test", "later2@b.test", "never@b.test"], "Subject: x\r\n\r\nx\r\n"
        )
    assert list(refused) == ["never@b.test"]
    assert upstream.reached() == [b"<now@b.test>"]
    wait_for(lambda: len(upstream.received) >= 2, "the second half")
    wait_for(lambda: relay.events("spool_delivered"), "the delivery in the log")
    relay.stop()
    assert upstream.reached() == [b"<now@b.test>", b"<later2@b.test>"]
    assert upstream.tries[b"<now@b.test>"] == 1


def test_who_is_named_twice_gets_the_mail_once(upstream: Upstream, relays: Callable[..., Relay], database: str):
    relay = relays(retry__mode="spool", database__url=database)
    with relay.client() as client:  # refused for now the first time, taken the second
        client.sendmail("anna@a.test", ["later1@b.test", "later1@b.test", "later3@b.test"], "Subject: x\r\n\r\nx\r\n")
        client.sendmail("anna@a.test", ["later2@b.test", "later2@b.test"], "Subject: y\r\n\r\ny\r\n")
    wait_for(lambda: len(relay.events("spool_delivered")) >= 2, "the deliveries in the log")
    relay.stop()
    assert sorted(upstream.reached()) == [b"<later1@b.test>", b"<later2@b.test>", b"<later3@b.test>"]


def test_a_letter_refused_in_the_end_comes_back_to_its_sender(
    upstream: Upstream, relays: Callable[..., Relay], database: str
):
    upstream.busy = True
    relay = relays(retry__mode="spool", database__url=database)
    relay.send(["never@b.test", "fine@b.test"], "unwelcome")
    upstream.busy = False
    wait_for(lambda: len(upstream.received) >= 2, "the mail and the bounce")
    bounce = next(message for message in upstream.received if message.sender == b"<>")
    assert bounce.recipients == (b"<anna@a.test>",)
    assert b"Final-Recipient: rfc822; never@b.test\r\n" in bounce.octets
    assert b"fine@b.test" not in bounce.octets
    relay.stop()


def test_what_cannot_be_kept_is_refused_and_nothing_is_lost(upstream: Upstream, relays: Callable[..., Relay]):
    upstream.down()
    relay = relays(retry__mode="spool", retry__spool__messages="1")
    relay.send("one@b.test")
    wait_for(lambda: _full(relay), "the spool to be full")
    upstream.up()
    wait_for(lambda: b"<one@b.test>" in upstream.reached(), "the mail that was kept")
    relay.stop()


def _full(relay: Relay) -> bool:
    with relay.client() as client:
        client.ehlo()
        code, words = client.mail("anna@a.test")
    return code == 452 and words.startswith(b"4.3.1")


def test_a_reload_takes_over_the_limits_of_the_spool(upstream: Upstream, relays: Callable[..., Relay], tmp_path: Path):
    upstream.down()
    relay = relays(retry__mode="spool")
    relay.send("one@b.test")
    relay.send("two@b.test")
    (tmp_path / "relay.yaml").write_text("retry: {spool: {messages: 2}}\ndatabase: {url: 'sqlite:///else.db'}\n")
    relay.reload()
    wait_for(lambda: _full(relay), "the spool to be full")
    assert [event["settings"] for event in relay.events("restart_needed")] == [["database"]]
    upstream.up()
    wait_for(lambda: len(upstream.received) == 2, "the mails that were kept")
    relay.stop()


def test_a_letter_whose_outcome_is_unknown_is_told_of_and_tried_again(upstream: Upstream, relays: Callable[..., Relay]):
    upstream.busy = True
    relay = relays(retry__mode="spool")
    relay.send("one@b.test")
    upstream.vanish, upstream.busy = True, False
    wait_for(lambda: relay.events("spool_outcome_unknown"), "the event")
    upstream.vanish = False
    wait_for(lambda: upstream.reached() == [b"<one@b.test>"], "the mail")
    relay.stop()


def test_while_the_client_waits_nothing_is_sent_twice(upstream: Upstream, relays: Callable[..., Relay]):
    relay = relays(retry__mode="inline", retry__inline__first="0.05")
    relay.send(["now@b.test", "later2@b.test"])
    assert upstream.reached() == [b"<now@b.test>", b"<later2@b.test>"]
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        relay.send("never@b.test")
    assert refused.value.recipients["never@b.test"][0] == 550
    relay.stop()


@pytest.mark.parametrize("over", [-1, 0, 1, 2, 3])
def test_a_letter_arrives_wherever_its_octets_are_cut(upstream: Upstream, relays: Callable[..., Relay], over: int):
    upstream.down()
    relay = relays(retry__mode="spool")
    around = len("Subject: cut\r\n\r\n") + len("\r\n.\r\n")
    text = "x" * 510 + "\r\n"
    message = "Subject: cut\r\n\r\n" + text * 511 + "x" * (CHUNK_OCTETS + over - 511 * 512 - around)
    with relay.client() as client:
        client.sendmail("anna@a.test", ["cut@b.test"], message)
    upstream.up()
    wait_for(lambda: upstream.received, "the mail")
    assert upstream.received[0].octets == message.encode() + b"\r\n.\r\n"
    assert len(upstream.received[0].octets) == CHUNK_OCTETS + over
    relay.stop()
