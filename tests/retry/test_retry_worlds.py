"""The spool in its surroundings: several workers, logins, large messages, letters that come back or are late."""

from __future__ import annotations

import base64
import email
import smtplib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flufl.bounce import scan_message
from retry_relay import free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from retry_relay import Relay
    from retry_upstream import Received, Upstream

MODES = ("inline", "off")
KEY = base64.urlsafe_b64encode(b"k" * 32).decode()


def letters_of_ours(upstream: Upstream) -> list[Received]:
    return [message for message in list(upstream.received) if message.sender == b"<>"]


def test_several_workers_share_one_spool(upstream: Upstream, relays: Callable[..., Relay]):
    upstream.down()
    relay = relays(retry__mode="spool", workers="2")
    for number in range(20):
        relay.send(f"r{number}@b.test")
    upstream.up()
    wait_for(lambda: len(upstream.received) >= 20, "all mails")
    relay.stop()
    assert sorted(upstream.reached()) == sorted(b"<r%d@b.test>" % number for number in range(20))


def test_a_letter_reaches_a_server_that_knows_no_extensions(upstream: Upstream, relays: Callable[..., Relay]):
    relay = relays(retry__mode="spool")
    with relay.client() as client:
        client.sendmail("anna@a.test", ["later1@b.test"], "Subject: x\r\n\r\nx\r\n", ["RET=HDRS"], ["NOTIFY=FAILURE"])
        upstream.down()
        upstream.plain = True
        upstream.up()
    wait_for(lambda: upstream.reached() == [b"<later1@b.test>"], "the mail")
    relay.stop()


def test_what_must_not_be_left_out_waits_for_a_server_that_knows_it(upstream: Upstream, relays: Callable[..., Relay]):
    relay = relays(retry__mode="spool")
    with relay.client() as client:
        client.sendmail("anna@a.test", ["later1@b.test"], "Subject: x\r\n\r\nx\r\n", ["BODY=8BITMIME"])
        upstream.down()
        upstream.plain = True
        upstream.up()
    assert wait_for(lambda: relay.events("spool_later"), "a try in vain")[0]["fault"] == "offer-changed"
    upstream.plain = False
    relay.queue("retry", "--all")
    wait_for(lambda: upstream.reached() == [b"<later1@b.test>"], "the mail")
    relay.stop()


def test_a_mail_with_a_time_of_its_own_is_not_kept(upstream: Upstream, relays: Callable[..., Relay]):
    relay = relays(retry__mode="spool")
    with relay.client() as client, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.sendmail("anna@a.test", ["later9@b.test"], "Subject: x\r\n\r\nx\r\n", ["BY=30;R"])
    assert refused.value.recipients["later9@b.test"][0] == 450
    relay.stop()


def test_a_letter_that_is_too_old_comes_back_and_an_independent_reader_knows_whose(
    upstream: Upstream, relays: Callable[..., Relay]
):
    relay = relays(retry__mode="spool", retry__spool__max_age="1.5", retry__spool__delay_notice="never")
    relay.send("later999@b.test")
    (bounce,) = wait_for(lambda: letters_of_ours(upstream), "the bounce")
    message = email.message_from_bytes(bounce.octets)
    assert scan_message(message) == {b"later999@b.test"}
    assert b"Status: 4.2.0\r\n" in bounce.octets
    wait_for(lambda: relay.queue("list") == [], "an empty spool")
    relay.stop()


def test_a_letter_that_expires_while_the_upstream_is_down_comes_back_when_it_is_up(
    upstream: Upstream, relays: Callable[..., Relay]
):
    upstream.down()
    relay = relays(retry__mode="spool", retry__spool__max_age="1", retry__spool__first="1")
    relay.send("one@b.test")
    wait_for(lambda: [each for each in relay.queue("list") if each["kind"] == "bounce"], "the bounce in the spool")
    upstream.up()
    relay.queue("retry", "--all")  # the bounce has a second to live as well, and may be stuck by now
    wait_for(lambda: letters_of_ours(upstream), "the bounce")
    relay.stop()
    assert b"<one@b.test>" not in upstream.reached()


def test_the_sender_is_told_once_that_a_letter_is_late(upstream: Upstream, relays: Callable[..., Relay]):
    relay = relays(retry__mode="spool", retry__spool__delay_notice="0.5")
    relay.send("later6@b.test")
    wait_for(lambda: b"<later6@b.test>" in upstream.reached(), "the mail in the end")
    relay.stop()
    (notice,) = letters_of_ours(upstream)
    assert b"Action: delayed\r\n" in notice.octets


def test_a_bounce_that_cannot_be_delivered_is_kept_and_shown(upstream: Upstream, relays: Callable[..., Relay]):
    upstream.busy = True
    relay = relays(retry__mode="spool")
    relay.send("never1@b.test", sender="never2@a.test")
    upstream.busy = False
    wait_for(lambda: relay.queue("list", "--state", "stuck"), "the stuck bounce")
    (stuck,) = relay.queue("list")
    assert (stuck["kind"], stuck["sender"]) == ("bounce", "")
    assert stuck["recipients"][0]["code"] == 550
    relay.stop()
    assert upstream.received == []


def test_nobody_else_may_read_what_is_kept(upstream: Upstream, relays: Callable[..., Relay]):
    upstream.down()
    relay = relays(retry__mode="spool")
    relay.send("one@b.test")
    assert {path.stat().st_mode & 0o777 for path in relay.directory.glob("relay.db*")} == {0o600}
    relay.stop()


def test_each_listener_may_have_a_mode_of_its_own(upstream: Upstream, relays: Callable[..., Relay]):
    ports = free_port(), free_port()
    doors = ", ".join(
        f'{{address: "127.0.0.1:{port}", retry: {mode}}}' for port, mode in zip(ports, MODES, strict=True)
    )
    relay = relays(listen=f"[{doors}]", port=ports[0], retry__inline__first="0.01")
    relay.send("later1@b.test")
    relay.port = ports[1]
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        relay.send("later2@b.test")
    assert upstream.reached() == [b"<later1@b.test>"]
    relay.stop()


def test_a_large_message_costs_no_memory(upstream: Upstream, relays: Callable[..., Relay]):
    upstream.busy = True
    relay = relays(retry__mode="spool", retry__spool__first="2", retry__spool__longest="2")
    relay.send("small@b.test")
    before = memory_peak(relay)
    text = "x" * 70 + "\r\n"
    relay.send("large@b.test", text * 700_000)
    upstream.busy = False
    wait_for(lambda: b"<large@b.test>" in upstream.reached(), "the mail", 60)
    assert memory_peak(relay) - before < 20 * 2**20
    relay.stop()
    (large,) = (message for message in upstream.received if message.recipients == (b"<large@b.test>",))
    assert large.octets.count(text.encode()) == 2 * 700_000  # as its subject too


def memory_peak(relay: Relay) -> int:
    assert relay.process is not None
    status = Path(f"/proc/{relay.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.fixture
def own_login(upstream: Upstream) -> Upstream:
    upstream.logins = {b"anna": b"S3CRET"}
    return upstream


def send_as_anna(relay: Relay) -> None:
    with relay.client() as client:
        client.login("anna", "S3CRET")
        client.sendmail("anna@a.test", "later1@b.test", "Subject: x\r\n\r\nx\r\n")


def test_mail_under_a_client_s_own_login_is_kept_with_it_encrypted(own_login: Upstream, relays: Callable[..., Relay]):
    relay = relays(retry__mode="spool", retry__spool__keep_logins="encrypted", retry__spool__key=KEY)
    send_as_anna(relay)
    database = b"".join(path.read_bytes() for path in relay.directory.glob("relay.db*"))
    assert b"later1@b.test" in database
    assert b"S3CRET" not in database
    assert base64.b64encode(b"\0anna\0S3CRET") not in database
    wait_for(lambda: own_login.reached() == [b"<later1@b.test>"], "the mail")
    relay.stop()
    assert own_login.logged_in == [b"anna", b"anna"]
    assert "S3CRET" not in relay.log.read_text() + relay.errors()


def test_a_login_serves_for_the_mail_after_one_that_was_kept(own_login: Upstream, relays: Callable[..., Relay]):
    relay = relays(retry__mode="spool", retry__spool__keep_logins="encrypted", retry__spool__key=KEY)
    with relay.client() as client:
        client.login("anna", "S3CRET")
        for recipient in ("later1@b.test", "two@b.test", "later2@b.test", "four@b.test"):
            client.sendmail("anna@a.test", recipient, "Subject: x\r\n\r\nx\r\n")
    assert own_login.reached()[:2] == [b"<two@b.test>", b"<four@b.test>"]
    wait_for(lambda: len(own_login.reached()) == 4, "the two that were kept")
    relay.stop()


def test_without_the_setting_it_is_refused_with_an_explanation(own_login: Upstream, relays: Callable[..., Relay]):
    relay = relays(retry__mode="spool")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        send_as_anna(relay)
    code, words = refused.value.recipients["later1@b.test"]
    assert code == 450
    assert b"under your own login" in words
    assert b"Greylisted" in words
    relay.stop()
    assert own_login.received == []


def test_a_client_that_leaves_before_the_final_dot_leaves_nothing(upstream: Upstream, relays: Callable[..., Relay]):
    upstream.busy = True
    relay = relays(retry__mode="spool")
    with socket.create_connection(("127.0.0.1", relay.port), 10) as client:
        for line in ("EHLO x", "MAIL FROM:<a@a.test>", "RCPT TO:<b@b.test>", "DATA"):
            client.recv(4096)
            client.sendall(f"{line}\r\n".encode())
        client.recv(4096)
        client.sendall(b"Subject: x\r\n\r\nhalf a mail")
    relay.send("whole@b.test")
    assert [each["recipients"][0]["recipient"] for each in relay.queue("list")] == ["whole@b.test"]
    relay.stop()
