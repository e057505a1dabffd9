"""SIGTERM lets mail in flight finish; SIGHUP takes over settings that are right, and keeps the old ones otherwise."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
from running_client import Client, assert_explained
from running_relay import wait_for, write_settings


def refuses_connections(address: tuple[str, int]) -> bool:
    try:
        Client(address).sock.close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # it was in the queue of the socket that is being closed
        return False
    return False


def test_sigterm_lets_the_message_finish(start, upstream):
    relay = start()
    with Client(relay.addresses[0]) as client:
        client.greet()
        client.begin_message()
        client.say(b"Subject: half\r\n")
        relay.process.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses_connections(relay.addresses[0]), "new connections to be refused")
        assert relay.process.poll() is None
        client.say(b"\r\nthe other half\r\n.\r\n")
        answer = client.hear()
        assert answer.code == 250
        assert "queued" in answer.text
        assert_explained(client.hear(), 421, "4.3.2")
    assert relay.process.wait(5) == 0
    assert [event["size"] for event in relay.events("relay_message")] == [upstream.conduct.size - 3]
    assert relay.events("relay_stopped")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_ctrl_c_waits_for_nobody(start, workers):
    relay = start({"workers": workers})
    with Client(relay.addresses[0]) as client:
        client.greet()
        client.begin_message()
        relay.process.send_signal(signal.SIGINT)
        wait_for(lambda: refuses_connections(relay.addresses[0]), "new connections to be refused")
        relay.process.send_signal(signal.SIGINT)
        assert relay.process.wait(5) == 130
    assert "Traceback" not in relay.stderr.read_text()


def test_a_client_whose_mail_is_done_is_told_of_the_stop_at_once(start):
    relay = start({"timeouts": {"drain": 2}})
    with Client(relay.addresses[0], seconds=1) as client:
        client.greet()
        client.begin_message()
        relay.process.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses_connections(relay.addresses[0]), "new connections to be refused")
        client.say(b"Subject: x\r\n\r\n.\r\n")
        assert client.hear().code == 250
        assert_explained(client.hear(), 421, "4.3.2")


def test_sigterm_waits_for_the_upstreams_verdict(start, upstream):
    relay = start()
    upstream.conduct.verdict.clear()
    with Client(relay.addresses[0]) as client:
        client.greet()
        client.begin_message()
        client.say(b"Subject: x\r\n\r\nHello.\r\n.\r\n")
        relay.process.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses_connections(relay.addresses[0]), "new connections to be refused")
        upstream.conduct.verdict.set()
        assert client.hear().code == 250
    assert relay.process.wait(5) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_clients_are_told(start, number):
    relay = start()
    with Client(relay.addresses[0]) as greeted, Client(relay.addresses[0]) as silent:
        greeted.greet()
        assert silent.hear().code == 220
        relay.process.send_signal(number)
        for client in (greeted, silent):
            assert_explained(client.hear(), 421, "4.3.2")
            assert client.closed()
    assert relay.process.wait(5) == 0


def test_drain_cuts_what_does_not_end(start, upstream):
    relay = start({"timeouts": {"drain": 0.5}})
    with Client(relay.addresses[0]) as client:
        client.greet()
        client.begin_message()
        client.say(b"Subject: half\r\n")
        started = time.monotonic()
        relay.process.send_signal(signal.SIGTERM)
        assert relay.process.wait(5) == 0
        assert 0.4 < time.monotonic() - started < 3
    assert upstream.conduct.size == 0


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_sigterm_does_not_wait_for_a_handshake(start, certificate, tls):
    relay = start({"listen": [{"address": "127.0.0.1:0", "tls": tls, **certificate}]})
    with Client(relay.addresses[0]) as client:
        if tls == "starttls":
            client.greet()
            assert client.ask("STARTTLS").code == 220
        else:
            client.say(b"\x16\x03\x01")
            time.sleep(0.1)  # so that it is read
        started = time.monotonic()
        relay.process.send_signal(signal.SIGTERM)
        assert relay.process.wait(8) == 0
        assert time.monotonic() - started < 3


def test_drain_does_not_say_that_a_message_was_not_sent_whose_verdict_is_awaited(start, upstream):
    upstream.conduct.verdict.clear()
    relay = start({"timeouts": {"drain": 0.5}})
    with Client(relay.addresses[0]) as client:
        client.greet()
        client.begin_message()
        client.say(b"Subject: x\r\n\r\nHello.\r\n.\r\n")
        wait_for(lambda: upstream.conduct.size, "the message")
        relay.process.send_signal(signal.SIGTERM)
        answer = client.hear()
        assert relay.process.wait(5) == 0
    upstream.conduct.verdict.set()
    (event,) = relay.events("relay_failure")
    assert event["fault"] == "outcome-unknown"
    assert f"[ref {event['ref']}]" in answer.text
    assert "was not sent" not in answer.text


def refusal(client: Client) -> str:
    """The words of a refusal that every style explains: an unknown recipient syntax."""
    return client.ask("VERB").text


def test_sighup_takes_over_changed_settings(start):
    relay = start()
    settings = json.loads(relay.config.read_text())
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert "Whose move" in refusal(client)
        write_settings(relay.config, {**settings, "reply": {"style": "short"}, "limits": {"recipients": 1}})
        relay.process.send_signal(signal.SIGHUP)
        relay.events("reloaded")
        answer = refusal(client)
        assert "Whose move" not in answer
        assert "[ref " in answer
        client.begin_mail()
        assert client.ask("RCPT TO:<more@there.example>").code == 452


@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_says_what_waits_for_a_restart(start, tmp_path, workers):
    relay = start({"workers": workers})
    settings = json.loads(relay.config.read_text())
    later = {"web": {"listen": "127.0.0.1:1"}, "log": {**settings["log"], "level": "warning"}}
    for times, changed in enumerate(({"limits": {"recipients": 1}}, {"retry": {"spool": {"first": 7}}}, later), 1):
        write_settings(relay.config, {**settings, **changed})
        relay.process.send_signal(signal.SIGHUP)
        relay.events("reloaded", times * workers)
    (event,) = relay.events("restart_needed")
    assert event["settings"] == ["log", "web"]


BAD = {"reply": {"style": "sonnet"}, "limits": {"recipients": 1}}


def test_sighup_with_a_mistake_changes_nothing(start):
    relay = start()
    settings = json.loads(relay.config.read_text())
    write_settings(relay.config, {**settings, **BAD})
    relay.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "sonnet" in relay.log.read_text(), "the mistake in the log")
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert "Whose move" in refusal(client)
        client.begin_mail()
        assert client.ask("RCPT TO:<more@there.example>").code == 250


def test_sighup_with_a_mistake_says_why(start):
    relay = start()
    settings = json.loads(relay.config.read_text())
    write_settings(relay.config, {**settings, **BAD})
    relay.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "sonnet" in relay.log.read_text(), "the mistake in the log")
    assert "Traceback" not in relay.log.read_text()
    (event,) = relay.events("reload_refused")
    assert "reply.style" in event["why"]
    relay.config.unlink()
    relay.process.send_signal(signal.SIGHUP)
    relay.events("reload_refused", 2)


FAILS_LATER = """
import relay.parts
read, times = relay.parts.read_book, []
def read_book(settings):
    times.append(1)
    if len(times) > 1:
        raise LookupError("nobody foresaw this")
    return read(settings)
relay.parts.read_book = read_book
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_that_fails_as_nobody_foresaw_changes_nothing(start, workers):
    relay = start({"workers": workers}, FAILS_LATER)
    relay.process.send_signal(signal.SIGHUP)
    (event,) = relay.events("reload_refused")
    assert "nobody foresaw this" in event["why"]
    assert "LookupError" in event["exception"]
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail().code == 250


def shown_certificate(relay) -> bytes | None:
    with Client(relay.addresses[0]) as client:
        client.shake_hands()
        client.greet()
        return client.certificate


@pytest.mark.parametrize(("workers", "kind"), [(1, "EC"), (2, "EC"), (1, "RSA")])
def test_sighup_takes_over_a_certificate_that_was_renewed_and_no_broken_one(start, own_certificate, workers, kind):
    door = {"address": "127.0.0.1:0", "tls": "implicit", **own_certificate()}
    relay = start({"workers": workers, "listen": [door]})
    old = shown_certificate(relay)
    own_certificate(kind)
    relay.process.send_signal(signal.SIGHUP)
    relay.events("reloaded", workers)
    fresh = {shown_certificate(relay) for _ in range(6)}
    assert len(fresh) == 1
    assert old not in fresh
    Path(door["key"]).write_text("no key")
    relay.process.send_signal(signal.SIGHUP)
    assert door["key"] in relay.events("reload_refused")[0]["why"]
    assert {shown_certificate(relay) for _ in range(6)} == fresh


def test_many_sighups_are_few_renewals(start):
    relay = start()
    begun = time.monotonic()
    for _ in range(50):
        relay.process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail().code == 250
    relay.events("reloaded", 2)  # the last one is heard, too
    assert len(relay.events("reloaded")) <= time.monotonic() - begun + 1


HUNG_UP_ON_EARLY = """
import os, signal, relay.parts
read, times = relay.parts.read_book, []
def read_book(settings):
    times or os.kill(os.getpid(), signal.SIGHUP)
    times.append(1)
    return read(settings)
relay.parts.read_book = read_book
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_sighup_while_the_relay_begins_is_heard_when_it_has_begun(start, workers):
    assert len(start({"workers": workers}, HUNG_UP_ON_EARLY).events("reloaded", workers)) == workers


@pytest.mark.parametrize("octets", [b"pages: [{nonsense: 1}]", b"# Gr\xfc\xdfe\n"])
def test_sighup_with_a_broken_book_says_why(start, tmp_path, octets):
    house = tmp_path / "house.yaml"
    house.write_text("[]")
    relay = start({"book": {"house": str(house)}})
    house.write_bytes(octets)
    relay.process.send_signal(signal.SIGHUP)
    (event,) = relay.events("reload_refused")
    assert "house.yaml" in event["why"]
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail().code == 250


def test_sighup_in_the_middle_of_a_message_leaves_it_whole(start, upstream):
    relay = start()
    settings = json.loads(relay.config.read_text())
    with Client(relay.addresses[0]) as client:
        client.greet()
        client.begin_message()
        client.say(b"Subject: half\r\n")
        write_settings(relay.config, {**settings, "reply": {"style": "short"}})
        relay.process.send_signal(signal.SIGHUP)
        relay.events("reloaded")
        client.say(b"\r\nthe other half\r\n.\r\n")
        assert client.hear().code == 250
        assert client.send_mail().code == 250


@pytest.mark.parametrize("code", [250, 550])
def test_sighup_in_the_middle_of_a_mail_leaves_it_its_upstream_in_the_log(start, upstream, code):
    relay = start()
    settings = json.loads(relay.config.read_text())
    with Client(relay.addresses[0]) as client:
        client.greet()
        client.begin_message()
        settings["upstream"]["url"] = settings["upstream"]["url"].replace("127.0.0.1", "localhost")
        write_settings(relay.config, settings)
        relay.process.send_signal(signal.SIGHUP)
        relay.events("reloaded")
        upstream.conduct.message_reply = b"%d 5.7.1 It is said\r\n" % code
        client.say(b"\r\nthe message\r\n.\r\n")
        assert client.hear().code == code
        (old,) = relay.events("relay_message" if code == 250 else "relay_failure")
        assert old["upstream"] == "127.0.0.1"
        upstream.conduct.message_reply = b"250 2.0.0 Taken\r\n"
        assert client.send_mail().code == 250
        assert relay.events("relay_message", 2 if code == 250 else 1)[-1]["upstream"] == "localhost"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_a_renamed_log_is_opened_again(start, number):
    relay = start()
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail().code == 250
        relay.events("relay_message")
        old = relay.log.rename(relay.log.with_suffix(".1"))
        relay.process.send_signal(number)
        wait_for(relay.log.exists, "a new log")
        assert client.send_mail().code == 250
    assert len(relay.events("relay_message")) == 1
    assert old.read_text().count('"relay_message"') == 1
