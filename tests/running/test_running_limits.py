"""What clients may ask of the relay at most: each limit and each wait, with small settings."""

from __future__ import annotations

import base64
import socket
import struct
import time
from contextlib import ExitStack, suppress

import pytest
from running_client import Client, assert_explained
from running_relay import free_port, wait_for
from secret_search import page

BEHIND = {"listen": [{"address": "127.0.0.1:0", "allow": ["192.0.2.0/24"], "proxy_protocol": ["127.0.0.1"]}]}
WRONG = base64.b64encode(b"\0anna\0wrong").decode()


def client_from(relay, address: str) -> Client:
    client = Client(relay.addresses[0])
    way = f"TCP6 {address} ::1" if ":" in address else f"TCP4 {address} 127.0.0.1"
    client.say(f"PROXY {way} 4000 25\r\n".encode())
    return client


def test_connections(start):
    relay = start({"limits": {"connections": 2}})
    with Client(relay.addresses[0]) as one, Client(relay.addresses[0]) as two:
        one.greet()
        two.greet()
        with Client(relay.addresses[0]) as third:
            assert_explained(third.hear(), 421, "4.3.2")
            assert third.closed()
        assert one.ask("QUIT").code == 221
        assert one.closed()
        with Client(relay.addresses[0]) as third:
            assert third.greet().code == 250
        assert two.send_mail().code == 250


def test_clients_for_whom_there_are_no_files_are_told_so(start):
    few = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (120, 120))"  # 60 of them for 30 clients
    relay = start(before=few)
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(relay.addresses[0])) for _ in range(40)]
        for client in clients[:30]:
            client.greet()
            assert client.send_mail().code == 250
        for client in clients[30:]:
            assert_explained(client.hear(), 421, "4.3.2")
            assert client.closed()
    assert relay.events("few_descriptors")[0]["connections"] == 30


def test_clients_that_never_shake_hands_take_places_too(start, certificate):
    door = {"address": "127.0.0.1:0", "tls": "implicit", **certificate}
    relay = start({"listen": [door], "limits": {"connections": 2}, "timeouts": {"client_tls": 3}})
    with Client(relay.addresses[0]) as one, Client(relay.addresses[0]) as two:
        with Client(relay.addresses[0]) as third:
            third.shake_hands()
            assert_explained(third.hear(), 421, "4.3.2")
            assert third.closed()
        assert one.closed()
        assert two.closed()
        with Client(relay.addresses[0]) as third:
            third.shake_hands()
            assert third.greet().code == 250


@pytest.mark.parametrize("end", ["fin", "rst"])
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_clients_that_vanish_in_the_handshake_leave_their_places(start, certificate, tls, end):
    relay = start({"listen": [{"address": "127.0.0.1:0", "tls": tls, **certificate}], "limits": {"connections": 1}})
    for _ in range(3):
        with Client(relay.addresses[0]) as client:
            if tls == "starttls":
                client.greet()
                assert client.ask("STARTTLS").code == 220
            client.say(b"\x16\x03\x01")
            time.sleep(0.1)  # so that it is read
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", end == "rst", 0))
        time.sleep(0.1)  # so that its end is seen
    with Client(relay.addresses[0]) as client:
        if tls == "implicit":
            client.shake_hands()
        assert client.greet().code == 250
    assert "bug" not in relay.log.read_text()


def test_connections_per_address(start):
    relay = start({**BEHIND, "limits": {"connections_per_address": 2}})
    with ExitStack() as stack:
        first, second, third = (stack.enter_context(client_from(relay, "192.0.2.7")) for _ in range(3))
        first.greet()
        second.greet()
        assert_explained(third.hear(), 421, "4.7.0")
        assert third.closed()
        stack.enter_context(client_from(relay, "192.0.2.8")).greet()
        assert first.ask("QUIT").code == 221
        assert first.closed()
        stack.enter_context(client_from(relay, "192.0.2.7")).greet()


def test_connections_per_network_of_64_bits(start):
    """One customer has any number of addresses in it."""
    door = {**BEHIND["listen"][0], "allow": ["2001:db8::/32"]}
    relay = start({"listen": [door], "limits": {"connections_per_address": 2}})
    with ExitStack() as stack:
        for address in ("2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:3::1"):
            stack.enter_context(client_from(relay, address)).greet()
        assert_explained(stack.enter_context(client_from(relay, "2001:db8:1:2::3")).hear(), 421, "4.7.0")


def test_those_beyond_the_limit_of_their_address_take_no_places_from_others(start, certificate):
    """Nor may they come without end: where each must first shake hands to hear why, most hear nothing."""
    port = free_port()
    door = {**BEHIND["listen"][0], "tls": "implicit", **certificate}
    limits = {"connections": 8, "connections_per_address": 2}
    relay = start({"listen": [door], "limits": limits, "web": {"listen": f"127.0.0.1:{port}"}})
    with ExitStack() as stack:
        for _ in range(105):  # two are let in, a hundred would be told, and none shakes hands
            stack.enter_context(client_from(relay, "192.0.2.7"))
        for _ in range(3):
            last = stack.enter_context(client_from(relay, "192.0.2.7"))
            assert last.closed()
        other = stack.enter_context(client_from(relay, "192.0.2.8"))
        other.shake_hands()
        assert other.greet().code == 250
        assert 'fault="too-many-connections-address"} 6.0' in page(port, "/metrics").decode()
    wait_for(lambda: "relay_clients 0.0" in page(port, "/metrics").decode(), "the end of them all")
    with client_from(relay, "192.0.2.7") as again:
        again.shake_hands()
        assert again.greet().code == 250


def test_connections_of_loopback_are_not_counted_by_address(start):
    relay = start({"limits": {"connections_per_address": 1}})
    with Client(relay.addresses[0]) as one, Client(relay.addresses[0]) as two:
        assert one.greet().code == two.greet().code == 250


def test_recipients(start):
    relay = start({"limits": {"recipients": 2}})
    with Client(relay.addresses[0]) as client:
        client.greet()
        client.begin_mail()
        assert client.ask("RCPT TO:<second@there.example>").code == 250
        assert_explained(client.ask("RCPT TO:<third@there.example>"), 452, "4.5.3")
        assert client.ask("DATA").code == 354
        client.say(b"Subject: x\r\n\r\n.\r\n")
        assert client.hear().code == 250
        client.begin_mail()
    assert relay.events("relay_message")[0]["recipient_count"] == 2


def test_message_size_declared(start):
    relay = start({"limits": {"message_size": 1000}})
    with Client(relay.addresses[0]) as client:
        assert "SIZE 1000\r\n" in client.greet().text
        assert_explained(client.ask("MAIL FROM:<me@here.example> SIZE=1001"), 552, "5.3.4")
        assert client.ask("MAIL FROM:<me@here.example> SIZE=1000").code == 250


@pytest.mark.parametrize("dots", [0, 5])
def test_message_size_exactly_at_the_limit_passes(start, dots):
    """A dot that is doubled on the wire belongs to the wire, not to the message (RFC 5321 section 4.5.2)."""
    relay = start({"limits": {"message_size": 1000}})
    stuffed = b"..\r\n" * dots
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail(stuffed + b"x" * (998 - 3 * dots) + b"\r\n").code == 250
    assert relay.events("relay_message")[0]["size"] == 1000


def test_message_size_exceeded_is_told_after_the_dot(start, upstream):
    relay = start({"limits": {"message_size": 1000}})
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert_explained(client.send_mail(b"x" * 999 + b"\r\n"), 552, "5.3.4")
        assert upstream.conduct.size == 0
        assert client.send_mail(b"x" * 998 + b"\r\n").code == 250


def test_errors(start):
    relay = start({"limits": {"errors": 3}})
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert client.ask("NONSENSE").code == 500
        assert client.ask("RCPT TO:<you@there.example>").code == 503
        assert_explained(client.ask("MAIL nonsense"), 421, "4.7.0")
        assert client.closed()


def test_login_failures(start, upstream):
    upstream.conduct.refuses_logins = True
    relay = start({"limits": {"login_failures": 2}})
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert client.ask(f"AUTH PLAIN {WRONG}").code == 535
        assert client.ask(f"AUTH PLAIN {WRONG}").code == 535
        assert_explained(client.ask(f"AUTH PLAIN {WRONG}"), 421, "4.7.0")
        assert client.closed()
    assert sum(line.startswith(b"AUTH") for line in upstream.conduct.lines) == 2


def test_command_line(start):
    relay = start({"limits": {"command_line": 512}})
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert client.ask("NOOP " + "x" * (510 - len("NOOP "))).code == 250  # 512 with CRLF (RFC 5321 4.5.3.1.4)
        assert_explained(client.ask("NOOP " + "x" * 600), 500, "5.5.6")
        assert_explained(client.ask("NOOP " + "x" * 100_000), 500, "5.5.6")
        assert client.send_mail().code == 250


def test_command_line_counts_its_end(start):
    """RFC 5321 section 4.5.3.1.4: the length of a command line includes the CRLF."""
    relay = start({"limits": {"command_line": 512}})
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert client.ask("NOOP " + "x" * (511 - len("NOOP "))).code == 500


def test_auth_line(start, upstream):
    relay = start({"limits": {"command_line": 512, "auth_line": 1000}})
    token = base64.b64encode(b"user=anna\x01auth=Bearer " + b"t" * 600 + b"\x01\x01").decode()
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert_explained(client.ask("AUTH XOAUTH2 " + "t" * 1000), 500, "5.5.6")
        assert client.ask(f"AUTH XOAUTH2 {token}").code == 235
    assert f"AUTH XOAUTH2 {token}".encode() in upstream.conduct.lines


def test_each_limit_has_its_counter(start):
    port = free_port()
    limits = {"connections": 2, "recipients": 1, "message_size": 1000, "errors": 3, "command_line": 512}
    relay = start({"limits": limits, "timeouts": {"client_idle": 1}, "web": {"listen": f"127.0.0.1:{port}"}})
    with Client(relay.addresses[0]) as client, Client(relay.addresses[0]) as silent:
        client.greet()
        silent.greet()
        with Client(relay.addresses[0]) as third:
            assert third.hear().code == 421
        client.begin_mail()
        assert client.ask("RCPT TO:<second@there.example>").code == 452
        assert client.ask("RSET").code == 250
        assert client.send_mail(b"x" * 2000 + b"\r\n").code == 552
        assert client.ask("NOOP " + "x" * 600).code == 500
        assert client.ask("NONSENSE").code == 500
        assert client.ask("NONSENSE").code == 421
        assert silent.hear().code == 421
    counted = ("too-many-connections", "too-many-recipients", "message-too-big", "line-too-long", "unknown-command")
    text = page(port, "/metrics").decode()
    for fault in (*counted, "too-many-errors", "idle"):
        assert f'relay_faults_total{{fault="{fault}"}} 1.0' in text


def test_client_idle(start):
    relay = start({"timeouts": {"client_idle": 0.5}})
    with Client(relay.addresses[0]) as client:
        client.greet()
        started = time.monotonic()
        assert_explained(client.hear(), 421, "4.4.2")
        assert client.closed()
        assert 0.4 < time.monotonic() - started < 2


def test_client_idle_spares_a_client_that_waits_for_the_upstream(start, upstream):
    upstream.conduct.verdict.clear()
    relay = start({"timeouts": {"client_idle": 0.3, "client_data": 0.3}})
    with Client(relay.addresses[0], seconds=0.9) as client:
        client.greet()
        client.begin_message()
        client.say(b"Subject: x\r\n\r\n.\r\n")
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        client.sock.settimeout(5)
        upstream.conduct.verdict.set()
        assert client.hear().code == 250


def test_client_data(start, upstream):
    relay = start({"timeouts": {"client_data": 0.5}})
    with Client(relay.addresses[0]) as client:
        client.greet()
        client.begin_message()
        client.say(b"Subject: half\r\n")
        assert_explained(client.hear(), 421, "4.4.2")
        assert client.closed()
    assert upstream.conduct.size == 0


@pytest.mark.parametrize(("rate", "passes"), [(500, False), (0, True), (5, True)])
def test_data_rate(start, upstream, rate, passes):
    """Ten octets a second; the window over which the pace is taken is shortened from 30 s to 1 s."""
    relay = start({"limits": {"data_rate": rate}}, "from relay.proxy import patience; patience._RATE_SECONDS = 1.0")
    with Client(relay.addresses[0]) as client:
        client.greet()
        client.begin_message()
        client.sock.settimeout(0.1)
        answer = b""
        for _ in range(20):
            client.say(b"x")
            with suppress(TimeoutError):
                answer = client.sock.recv(4096)
                break
        client.sock.settimeout(5)
        if passes:
            assert answer == b""
            client.say(b"\r\n.\r\n")
            assert client.sock.recv(4096).startswith(b"250 ")
        else:
            assert answer.startswith(b"421-4.4.2 ")
            assert upstream.conduct.size == 0
