"""The PROXY header of a load balancer, versions 1 and 2: believed from named peers and demanded from them."""

from __future__ import annotations

import socket
import struct
import time

import pytest
from running_client import Client, assert_explained

V1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 4000 25\r\n"
V1_IPV6 = b"PROXY TCP6 2001:db8::7 ::1 4000 25\r\n"
BEHIND = {"address": "127.0.0.1:0", "allow": ["192.0.2.0/24"], "proxy_protocol": ["127.0.0.1"]}
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def version_2(command: int, family: int, addresses: bytes) -> bytes:
    """Its header: signature, version and command, family and protocol, length, addresses."""
    return SIGNATURE + bytes([0x20 | command, family << 4 | 1]) + struct.pack("!H", len(addresses)) + addresses


def inet(host: str) -> bytes:
    return socket.inet_aton(host) + socket.inet_aton("127.0.0.1") + struct.pack("!HH", 4000, 25)


V2 = version_2(1, 1, inet("192.0.2.8"))
V2_WITH_TLV = version_2(1, 1, inet("192.0.2.9") + b"\x01\x00\x02h2")
V2_IPV6 = version_2(1, 2, socket.inet_pton(socket.AF_INET6, "2001:db8::8") + bytes(16) + struct.pack("!HH", 4000, 25))
V2_LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
WHO = {
    V1: "192.0.2.7",
    V1_IPV6: "2001:db8::7",
    V2: "192.0.2.8",
    V2_WITH_TLV: "192.0.2.9",
    V2_IPV6: "2001:db8::8",
    V2_LOCAL: "127.0.0.1",
    version_2(1, 2, socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.10") + bytes(20)): "192.0.2.10",
    version_2(1, 3, b"/run/balancer.sock".ljust(108, b"\0") * 2): "127.0.0.1",  # no IP address: nobody else's
    version_2(0, 1, inet("192.0.2.7")): "127.0.0.1",  # the addresses of LOCAL are not to be believed
    b"PROXY UNKNOWN\r\n": "127.0.0.1",
    b"PROXY UNKNOWN ff::1 ff::2 1 2\r\n": "127.0.0.1",
}


def assert_mail_passes(relay, client: Client, address: str) -> None:
    """A mail passes, and the log says it came from that address."""
    before = relay.log.read_text().count('"relay_message"')
    assert client.send_mail().code == 250
    assert relay.events("relay_message", before + 1)[-1]["client"] == address


@pytest.mark.parametrize(("header", "address"), WHO.items())
def test_the_address_is_the_headers(behind_proxy, header, address):
    with Client(behind_proxy.addresses[0]) as client:
        client.say(header)
        client.greet()
        assert_mail_passes(behind_proxy, client, address)


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_a_header_may_come_in_pieces(behind_proxy, header):
    with Client(behind_proxy.addresses[0]) as client:
        for octet in header:
            client.say(bytes([octet]))
            time.sleep(0.001)  # so that each octet is a segment of its own
        assert client.greet().code == 250
        assert_mail_passes(behind_proxy, client, WHO[header])


@pytest.mark.parametrize("header", [V1, V2, V2_LOCAL], ids=["v1", "v2", "local"])
def test_header_and_commands_may_come_in_one_segment(behind_proxy, header):
    with Client(behind_proxy.addresses[0]) as client:
        client.say(header + b"EHLO client.example\r\nNOOP\r\n")
        assert [client.hear().code for _ in range(3)] == [220, 250, 250]
        assert_mail_passes(behind_proxy, client, WHO[header])


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize("together", [True, False], ids=["in one segment", "apart"])
def test_implicit_tls_begins_behind_the_header(start, certificate, header, together):
    relay = start({"listen": [{**BEHIND, "tls": "implicit", **certificate}]})
    with Client(relay.addresses[0]) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, together)
        client.say(header)
        client.shake_hands()
        assert client.greet().code == 250
        assert_mail_passes(relay, client, WHO[header])


@pytest.mark.parametrize(
    "garbage",
    [
        b"EHLO client.example\r\n",
        b"PROXY TCP4 192.0.2.999 127.0.0.1 4000 25\r\n",
        b"PROXY TCP4 192.0.2.7 127.0.0.1 4000\r\n",
        b"PROXY NONSENSE\r\n",
        b"PROXY \r\n",
        b"PROXY TCP4 " + b"1" * 200 + b"\r\n",
        SIGNATURE + b"\x31\x11\x00\x0c" + inet("192.0.2.7"),
        SIGNATURE + b"\x21\x11\x00\x02xx",
    ],
    ids=["none", "address", "short", "family", "empty", "long", "version-3", "short-v2"],
)
def test_garbage_is_turned_away(behind_proxy, garbage):
    with Client(behind_proxy.addresses[0]) as client:
        client.say(garbage)
        assert_explained(client.hear(), 421, "4.7.0")
        assert client.closed()


@pytest.mark.parametrize("part", [b"", V1[:20], V2[:20]], ids=["silence", "v1", "v2"])
def test_no_header_in_time_is_turned_away(behind_proxy, part):
    started = time.monotonic()
    with Client(behind_proxy.addresses[0]) as client:
        client.say(part)
        assert_explained(client.hear(), 421, "4.7.0")
        assert client.closed()
    assert 0.3 < time.monotonic() - started < 2


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_a_peer_that_is_not_named_cannot_send_one(start, header):
    door = {"address": "127.0.0.1:0", "allow": ["127.0.0.1"], "proxy_protocol": ["127.0.0.99"]}
    relay = start({"listen": [door]})
    with Client(relay.addresses[0]) as client:
        assert client.hear().code == 220
        client.say(header)
        assert_explained(client.hear(), 500, "5.5.1")
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail().code == 250
    assert relay.events("relay_message")[0]["client"] == "127.0.0.1"
    assert "192.0.2." not in relay.log.read_text()
