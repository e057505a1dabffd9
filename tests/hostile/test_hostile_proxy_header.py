"""PROXY headers that lie or do not end, from a peer that is trusted to send them."""

from __future__ import annotations

import struct

import pytest
from hostile_client import Attacker

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 4000 25\r\n"
EHLO = b"EHLO client.example\r\n"
MAIL = b"MAIL FROM:<evil@here.example>\r\n"


def v2(command: int = 0x21, family: int = 0x11, addresses: bytes = b"", length: int | None = None) -> bytes:
    return (
        SIGNATURE
        + bytes([command, family])
        + struct.pack("!H", len(addresses) if length is None else length)
        + addresses
    )


INET = b"\xc0\x00\x02\x07\x7f\x00\x00\x01" + struct.pack("!HH", 4000, 25)


@pytest.fixture(scope="module")
def relay(upstream, relay_before):
    door = {"address": "127.0.0.1:0", "allow": ["192.0.2.0/24", "2001:db8::/32"], "proxy_protocol": ["127.0.0.1"]}
    limits = {"connections_per_address": 3}
    with relay_before(upstream, listen=[door], timeouts={"proxy_header": 0.4}, limits=limits) as relay:
        yield relay


@pytest.fixture
def client(behaves, relay):
    with Attacker(relay.addresses[0]) as client:
        yield client


LIES = {
    "a line that never ends": b"PROXY TCP4 " + b"1" * 100_000,
    "nothing but CRLF": b"\r\n" * 20,
    "an address with a command in it": b"PROXY TCP4 192.0.2.7\rMAIL 127.0.0.1 4000 25\r\n",
    "NUL in an address": b"PROXY TCP4 192.0.2.7\x00 127.0.0.1 4000 25\r\n",
    "an IPv6 address as IPv4": b"PROXY TCP4 2001:db8::7 ::1 4000 25\r\n",
    "a name": b"PROXY TCP4 mail.example 127.0.0.1 4000 25\r\n",
    "octal": b"PROXY TCP4 0300.0.2.7 127.0.0.1 4000 25\r\n",
    "a port of 99999": b"PROXY TCP4 192.0.2.7 127.0.0.1 99999 25\r\n",
    "a negative port": b"PROXY TCP4 192.0.2.7 127.0.0.1 -1 25\r\n",
    "digits of other scripts": "PROXY TCP4 ١٩٢.0.2.7 127.0.0.1 4000 25\r\n".encode(),
    "LF alone": b"PROXY TCP4 192.0.2.7 127.0.0.1 4000 25\n",
    "blank before": b" " + V1,
    "lower case": V1.lower(),
    "v2 of version 1": v2(0x11, 0x11, INET),
    "v2 of an unknown command": v2(0x2F, 0x11, INET),
    "v2 with addresses cut short": v2(0x21, 0x11, INET[:5]),
    "v2 whose length is a lie": v2(0x21, 0x11, INET, 65_535),
    "v2 of IPv6 with addresses of IPv4": v2(0x21, 0x21, INET),
    "half a signature": SIGNATURE[:7] + EHLO,
}


@pytest.mark.parametrize("header", LIES.values(), ids=LIES)
def test_a_lie_is_turned_away_and_nothing_behind_it_is_heard(client, upstream, header):
    client.say(header + EHLO + MAIL)
    assert [answer.code for answer in client.rest()] == [421]
    assert upstream.commands == []


def test_a_second_header_is_a_command_like_any_other(client):
    answers = client.ask_all(V1 + V1.replace(b"192.0.2.7", b"192.0.2.8") + EHLO)
    assert [answer.code for answer in answers] == [220, 500, 250]


def test_a_stranger_behind_the_proxy_stays_a_stranger(client, upstream):
    answers = client.ask_all(V1.replace(b"192.0.2.7", b"198.51.100.7") + EHLO + MAIL)
    assert [answer.code for answer in answers] == [554]
    assert upstream.commands == []


def test_the_limit_of_one_address_holds_for_the_true_one(behaves, relay):
    """And is given back: by those that leave, those that vanish, and those that lied in their header."""
    for _ in range(3):
        guests = [Attacker(relay.addresses[0]) for _ in range(5)]
        for guest in guests:
            guest.say(V1)
        assert sorted(guest.hear().code for guest in guests) == [220] * 3 + [421] * 2
        for guest in guests:
            guest.reset()
        with Attacker(relay.addresses[0]) as liar:
            liar.say(LIES["a name"])
            assert liar.hear().code == 421


def test_who_says_all_at_once_and_closes_its_side_is_answered(behaves, relay):
    for _ in range(20):
        with Attacker(relay.addresses[0]) as client:
            assert [answer.code for answer in client.ask_all(V1 + EHLO + b"QUIT\r\n")] == [220, 250, 221]


def test_who_closes_its_side_within_the_header_is_told(client):
    assert [answer.code for answer in client.ask_all(V1[:20])] == [421]
