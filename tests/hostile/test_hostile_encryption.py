"""TLS on the way to the upstream, broken in every way: explained, and nothing is ever said in clear instead."""

from __future__ import annotations

import pytest
from hostile_client import Attacker, logged
from hostile_upstream import Upstream, closes, falls_silent, resets, says, server_tls

WAITS = {"upstream_reply": 0.5, "upstream_connect": 0.5, "upstream_tls": 0.5}
BAD = {
    "expired": "certificate-expired",
    "not_yet_valid": "certificate-not-yet-valid",
    "wrong_name": "certificate-name",
    "unknown_authority": "certificate-issuer",
    "self_signed": "certificate-issuer",
}


@pytest.fixture(scope="module", params=["smtp", "smtps"])
def encrypted(request, certificates, good_tls, relay_before):
    """A relay that demands TLS of its upstream (STARTTLS, or from the first octet), and that upstream."""
    way = {"tls": {"ca_file": str(certificates.authority)}, "pool": {"idle": 0}}
    with (
        Upstream(good_tls, implicit=request.param == "smtps") as upstream,
        relay_before(upstream, request.param, upstream=way, timeouts=WAITS) as relay,
    ):
        yield relay, upstream


def refused(relay) -> str | None:
    """The mail is refused for a while; what the log says it was."""
    with Attacker(relay.addresses[0]) as client:
        client.greet()
        answer = client.ask("MAIL FROM:<me@here.example>")
    assert answer.code == 451, answer
    return logged(relay, answer)["fault"]


def assert_nothing_said_in_clear(upstream: Upstream) -> None:
    assert {line.split()[0] for line in upstream.commands} <= {b"EHLO", b"STARTTLS", b"QUIT"}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_certificate(encrypted, certificates, good_tls, kind):
    relay, upstream = encrypted
    upstream.tls = server_tls(getattr(certificates, kind))
    upstream.behave()
    try:
        assert refused(relay) == BAD[kind]
        assert_nothing_said_in_clear(upstream)
    finally:
        upstream.tls = good_tls
    upstream.behave()
    with Attacker(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail().code == 250


def test_an_early_refusal_is_the_verdict(encrypted):
    """It comes within the message, and the connection breaks at once, with much of the message unread."""
    relay, upstream = encrypted

    async def refuses(speaker) -> None:
        for _ in range(3):
            await speaker.more(65536)
        speaker.writer.write(b"552 5.3.4 Message too big for system\r\n")
        speaker.close()

    upstream.behave()
    upstream.acts["body"] = refuses
    for _ in range(5):
        with Attacker(relay.addresses[0]) as client:
            client.greet()
            client.begin_message()
            client.say((b"x" * 998 + b"\r\n") * 3000 + b".\r\n")
            assert client.hear().code == 552


@pytest.fixture
def starttls(certificates, good_tls, relay_before):
    """A relay and an upstream that offers STARTTLS."""
    way = {"tls": {"ca_file": str(certificates.authority)}, "pool": {"idle": 0}}
    with Upstream(good_tls) as upstream, relay_before(upstream, "smtp", upstream=way, timeouts=WAITS) as relay:
        yield relay, upstream


def test_an_upstream_that_offers_starttls_and_fails(starttls):
    relay, upstream = starttls
    ready = b"220 2.0.0 Go ahead\r\n"
    for act, fault in (
        (says(b"454 4.7.0 TLS not available\r\n"), {"refused": None}),
        (closes(ready), {"tls", "disconnected"}),
        (resets(ready), {"tls", "disconnected"}),
        (says(ready + b"250 2.0.0 Ok\r\n"), {"garbled"}),  # said before the handshake, to be heard after it
        (says(ready, b"250 2.0.0 Ok\r\n"), {"garbled", "tls", "tls-wrong-port"}),
        (says(ready, b"\x15\x03\x01\x00\x02\x02\x28"), {"tls"}),  # the alert handshake_failure
        (falls_silent, {"timeout"}),
    ):
        upstream.behave()
        upstream.acts["STARTTLS"] = act
        if fault == {"refused": None}:
            with Attacker(relay.addresses[0]) as client:
                client.greet()
                assert client.ask("MAIL FROM:<me@here.example>").code == 454
        else:
            assert refused(relay) in fault
        assert_nothing_said_in_clear(upstream)


def test_a_handshake_that_never_ends(starttls):
    relay, upstream = starttls

    async def says_ready_and_no_more(speaker) -> None:
        await speaker.say(b"220 2.0.0 Go ahead\r\n")
        await falls_silent(speaker)

    upstream.acts["STARTTLS"] = says_ready_and_no_more
    assert refused(relay) == "tls"
    assert_nothing_said_in_clear(upstream)


def test_what_is_offered_before_the_handshake_is_forgotten(starttls):
    relay, upstream = starttls
    honest = upstream.offer

    def changes(*, encrypted: bool) -> bytes:
        return honest(encrypted=True) if encrypted else b"250-x\r\n250-SIZE 7\r\n250-AUTH NTLM\r\n250 STARTTLS\r\n"

    upstream.offer = changes
    with Attacker(relay.addresses[0]) as client:
        offer = client.greet().text
        assert "NTLM" not in offer
        assert "SIZE 7\r" not in offer
        assert client.send_mail().code == 250


def test_it_is_forgotten_too_where_nothing_is_offered_under_encryption(starttls):
    relay, upstream = starttls
    clear = b"250-x\r\n250-SIZE 7\r\n250-CHUNKING\r\n250 STARTTLS\r\n"
    upstream.offer = lambda *, encrypted: b"502 5.5.1 HELO only\r\n" if encrypted else clear
    with Attacker(relay.addresses[0]) as client:
        offer = client.greet().text
        assert "SIZE 7" not in offer and "CHUNKING" not in offer
        assert client.send_mail().code == 250


def test_a_plain_server_where_tls_is_spoken(relay_before):
    with Upstream() as upstream, relay_before(upstream, "smtps", timeouts=WAITS) as relay:
        assert refused(relay) == "tls-wrong-port"
        assert not any(line.startswith((b"EHLO", b"MAIL")) for line in upstream.commands)


def test_a_tls_server_where_plain_is_spoken(relay_before, good_tls):
    with Upstream(good_tls, implicit=True) as upstream, relay_before(upstream, "smtp", timeouts=WAITS) as relay:
        assert refused(relay) in ("timeout", "tls-wrong-port")  # it waits for our first record, in silence
        assert upstream.commands == []


@pytest.mark.parametrize("octets", [b"\x15\x03\x03\x00\x02\x02\x28", b"\x15\x03\x01\x00\x02\x02\x0a\r\n"])
def test_a_tls_alert_instead_of_a_greeting(relay_before, octets):
    with Upstream() as upstream, relay_before(upstream, timeouts=WAITS) as relay:
        upstream.acts["greeting"] = says(octets)
        assert refused(relay) in ("tls-wrong-port", "timeout")
