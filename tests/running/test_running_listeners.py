"""Doors: STARTTLS offered and demanded, TLS from the first octet, several at once, and who may come in."""

from __future__ import annotations

import base64
import ssl

import pytest
from running_client import Client, assert_explained


def plain(user: str) -> str:
    return "AUTH PLAIN " + base64.b64encode(f"\0{user}\0pw".encode()).decode()


def listener(**keys: object) -> dict[str, object]:
    return {"listen": [{"address": "127.0.0.1:0", **keys}]}


def test_starttls_is_offered_and_forgets_what_was_said(start, certificate):
    relay = start(listener(tls="starttls", **certificate))
    with Client(relay.addresses[0]) as client:
        assert "STARTTLS" in client.greet().text
        assert client.ask("STARTTLS").code == 220
        client.shake_hands()
        assert client.ask("MAIL FROM:<me@here.example>").code == 503
        assert "STARTTLS" not in client.ask("EHLO client.example").text
        assert client.send_mail().code == 250
        assert client.ask("STARTTLS").code == 502


def test_octets_injected_behind_starttls_are_not_executed(start, certificate, upstream):
    relay = start(listener(tls="starttls", **certificate))
    with Client(relay.addresses[0]) as client:
        client.greet()
        client.say(b"STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@evil.example>\r\n")
        assert client.hear().code == 220
        client.shake_hands()
        assert client.ask("NOOP").code == 250
        assert client.ask("MAIL FROM:<me@here.example>").code == 503
    assert not upstream.conduct.heard(b"MAIL FROM:<EVIL")


def test_starttls_required_takes_neither_mail_nor_login_before(start, certificate, upstream):
    relay = start(listener(tls="starttls-required", **certificate))
    with Client(relay.addresses[0]) as client:
        assert "AUTH" not in client.greet().text
        assert_explained(client.ask("AUTH PLAIN AGFubmEAcGFzcw=="), 530, "5.7.0")
        assert not upstream.conduct.heard(b"AUTH")
        assert_explained(client.ask("MAIL FROM:<me@here.example>"), 530, "5.7.0")
        assert not upstream.conduct.heard(b"MAIL")
        assert client.ask("STARTTLS").code == 220
        client.shake_hands()
        assert "AUTH" in client.ask("EHLO client.example").text
        assert client.send_mail().code == 250


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_failed_handshake_ends_that_client_alone(start, certificate, tls):
    relay = start(listener(tls=tls, **certificate))
    with Client(relay.addresses[0]) as client:
        if tls == "starttls":
            client.greet()
            assert client.ask("STARTTLS").code == 220
        client.say(b"this is no handshake\r\n")
        client.sock.settimeout(5)
        try:
            while client.sock.recv(4096):
                pass  # a TLS alert may come first
        except ConnectionResetError:
            pass
    with Client(relay.addresses[0]) as client:
        if tls == "implicit":
            client.shake_hands()
        assert client.greet().code == 250


def test_several_listeners_each_with_its_own_rules(start, certificate):
    doors = [
        {"address": "127.0.0.1:0"},
        {"address": "127.0.0.2:0", "tls": "starttls", **certificate},
        {"address": "127.0.0.1:0", "tls": "implicit", **certificate},
    ]
    relay = start({"listen": doors})
    assert [host for host, _ in relay.addresses] == ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
    assert len({port for _, port in relay.addresses}) == 3
    assert 0 not in {port for _, port in relay.addresses}
    (ready,) = relay.events("relay_ready")
    assert ready["listen"] == [f"{host}:{port}" for host, port in relay.addresses]
    with Client(relay.addresses[0]) as client:
        assert "STARTTLS" not in client.greet().text
    with Client(relay.addresses[1]) as client:
        assert "STARTTLS" in client.greet().text
    with Client(relay.addresses[2]) as client:
        client.shake_hands()
        assert isinstance(client.sock, ssl.SSLSocket)
        assert "STARTTLS" not in client.greet().text
        assert client.send_mail().code == 250


def test_a_foreign_network_is_refused_for_good(start):
    relay = start(listener(allow=["192.0.2.0/24"], proxy_protocol=["127.0.0.0/8"]))
    with Client(relay.addresses[0]) as client:
        client.say(b"PROXY TCP4 203.0.113.9 127.0.0.1 4000 25\r\n")
        assert_explained(client.hear(), 554, "5.7.1")


def test_a_foreign_network_is_told_why_and_shut_out(start):
    relay = start(listener(allow=["192.0.2.0/24"], proxy_protocol=["127.0.0.0/8"]))
    with Client(relay.addresses[0]) as client:
        client.say(b"PROXY TCP4 203.0.113.9 127.0.0.1 4000 25\r\n")
        assert "network" in client.hear().text
        assert client.closed()
    with Client(relay.addresses[0]) as client:
        client.say(b"PROXY TCP4 192.0.2.7 127.0.0.1 4000 25\r\n")
        client.greet()
        assert client.send_mail().code == 250
    assert relay.events("relay_failure")[0]["client"] == "203.0.113.9"


def test_a_list_holds_for_loopback_too(start):
    relay = start(listener(allow=["192.0.2.0/24"]))
    with Client(relay.addresses[0]) as client:
        assert "220" not in client.hear().text
        assert client.closed()


def test_allow_login_serves_only_after_a_login(start, upstream):
    relay = start(listener(allow=["login"]))
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert_explained(client.ask("MAIL FROM:<me@here.example>"), 530, "5.7.0")
        upstream.conduct.refuses_logins = True
        assert_explained(client.ask(plain("anna")), 535, "5.7.8")
        assert client.ask("MAIL FROM:<me@here.example>").code == 530
        upstream.conduct.refuses_logins = False
        assert client.ask(plain("anna")).code == 235
        assert client.send_mail().code == 250
    assert relay.events("relay_message")[0]["user"] == "anna"


def test_allow_login_with_a_name_serves_that_one_alone(start, upstream):
    relay = start(listener(allow=["login:anna"]))
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert_explained(client.ask(plain("bob")), 550, "5.7.1")
        assert client.ask("MAIL FROM:<me@here.example>").code == 530
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert client.ask(plain("anna")).code == 235
        assert client.send_mail().code == 250
    assert [line for line in upstream.conduct.lines if line.startswith(b"MAIL")] == [b"MAIL FROM:<me@here.example>"]
