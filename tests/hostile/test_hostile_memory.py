"""Memory: however much is sent from either side, and whoever does not read, the relay grows by a few pieces of it."""

from __future__ import annotations

import contextlib
import sys
import threading
import time

import pytest
from hostile_client import Attacker
from hostile_upstream import falls_silent, says, stops_reading

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")

MIB = 1 << 20
LINES = (b"x" * 70 + b"\r\n") * (MIB // 72)


@pytest.fixture(scope="module")
def relay(upstream, relay_before):
    """One relay for the whole file, so that what a test makes it keep adds up. It has done everything once."""
    with relay_before(upstream, timeouts={"upstream_reply": 3}) as relay:
        with Attacker(relay.addresses[0]) as client:
            client.greet()
            assert client.send_mail(LINES).code == 250
            assert client.ask("NONSENSE").code == 500
        yield relay


@pytest.fixture(scope="module")
def at_first(relay):
    return relay.memory()


@pytest.fixture
def grown(behaves, relay, at_first, figure, request):
    """By how much the relay, at its peak in this test, is larger than it was before the first one."""
    relay.forget_peak()

    def octets() -> int:
        growth = relay.memory_peak() - at_first
        figure(f"{request.node.name}: {growth / MIB:.1f} MiB")
        return growth

    return octets


def pour(client: Attacker, piece: bytes, times: int) -> None:
    """Say it so often, unless the relay closes before."""
    with contextlib.suppress(OSError):
        for _ in range(times):
            client.say(piece)


def test_an_upstream_that_stops_reading_holds_the_client_back(relay, grown, upstream):
    upstream.acts["body"] = stops_reading
    with Attacker(relay.addresses[0], seconds=2) as client:
        client.greet()
        client.begin_message()
        said = 0
        with contextlib.suppress(TimeoutError):
            for said in range(64):  # noqa: B007 -- looked at below
                client.say(LINES)
        assert said < 32  # what the buffers of the sockets hold
    assert grown() < 8 * MIB


def test_a_line_of_96_mib_in_a_message_passes(relay, grown, upstream):
    with Attacker(relay.addresses[0], seconds=50) as client:
        client.greet()
        client.begin_message()
        pour(client, b"x" * MIB, 96)
        client.say(b"\r\n.\r\n")
        assert client.hear().code == 250
    assert grown() < 8 * MIB
    assert len(upstream.messages[0].octets) == 96 * MIB


@pytest.mark.parametrize(
    "beginning", [b"", b"NOOP ", b"MAIL FROM:<", b"AUTH PLAIN "], ids=["line", "NOOP", "MAIL", "AUTH"]
)
def test_a_command_line_of_96_mib(relay, grown, beginning):
    with Attacker(relay.addresses[0]) as client:
        client.greet()
        pour(client, beginning + b"x" * MIB, 96)
    assert grown() < 8 * MIB


def test_eight_mib_of_empty_lines_as_commands(relay, grown):
    with Attacker(relay.addresses[0]) as client:
        client.greet()
        pour(client, b"\r\n" * (MIB // 2), 8)
    assert grown() < 8 * MIB


@pytest.mark.parametrize("line", [b"\r\n", b"..\r\n"], ids=["empty", "dots"])
def test_eight_mib_of_shortest_lines_as_a_message(relay, grown, line):
    with Attacker(relay.addresses[0], seconds=50) as client:
        client.greet()
        client.begin_message()
        pour(client, line * (MIB // len(line)), 8)
        client.say(b".\r\n")
        assert client.hear().code == 250
    assert grown() < 8 * MIB


def test_a_chunk_of_96_mib_that_is_refused(relay, grown):
    with Attacker(relay.addresses[0], seconds=50) as client:
        client.greet()
        client.say(b"BDAT %d LAST\r\n" % (96 * MIB))
        pour(client, b"x" * MIB, 96)
        assert client.hear().code == 503
    assert grown() < 8 * MIB


@pytest.mark.parametrize("command", [b"HELP\r\n", b"EHLO x\r\n"], ids=["HELP", "EHLO"])
def test_a_client_that_asks_and_never_reads(relay, grown, command):
    """Its replies pile up as far as the socket takes them, then the relay hears no more of it."""
    ask_without_reading(relay, command)
    assert grown() < 8 * MIB


def ask_without_reading(relay, command: bytes) -> None:
    client = Attacker(relay.addresses[0], seconds=1)
    client.say(b"EHLO x\r\nMAIL FROM:<a@b.c>\r\n")
    pour(client, command * (MIB // len(command)), 4)
    client.reset()


REPLIES = {
    "10 MB in one line": b"x" * 10_000_000,
    "10 MB in one reply": (b"250-" + b"x" * 1000 + b"\r\n") * 10_000,
    "10 MB of replies": b"250 2.1.0 Ok\r\n" * 700_000,
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
@pytest.mark.parametrize("point", ["greeting", "EHLO", "MAIL", "dot"])
def test_an_endless_reply(relay, grown, upstream, point, reply):
    upstream.acts[point] = says(reply)
    with Attacker(relay.addresses[0]) as client:
        client.greet()
        for line in ("MAIL FROM:<me@here.example>", "RCPT TO:<you@there.example>", "DATA", "Subject: x\r\n\r\n."):
            if client.ask(line).code >= 400:
                break
    assert grown() < 8 * MIB


def test_it_does_not_add_up(relay, behaves, figure):
    """Many rounds of refusals and vanishing clients: as much memory at the end as after the first ones."""

    def round_of_all() -> None:
        for number in range(60):
            client = Attacker(relay.addresses[0])
            client.greet()
            assert client.ask("MAIL nonsense").code == 501
            client.begin_message()
            client.say(LINES[: 1000 * number])
            client.reset()

    for _ in range(2):
        round_of_all()
    before = relay.memory()
    for _ in range(5):
        round_of_all()
    time.sleep(0.1)  # the last ones are being let go of
    growth = relay.memory() - before
    figure(f"300 refused and vanished clients later: {growth / MIB:.1f} MiB")
    assert growth < 3 * MIB


def test_eight_clients_with_24_mib_each(relay, grown, upstream):
    verdicts = []

    def send() -> None:
        with Attacker(relay.addresses[0], seconds=50) as client:
            client.greet()
            client.begin_message()
            pour(client, LINES, 24)
            client.say(b".\r\n")
            verdicts.append(client.hear().code)

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == [250] * 8
    assert grown() < 16 * MIB
    assert {len(message.octets) for message in upstream.messages} == {24 * len(LINES) - 2}


def test_a_thousand_recipients_and_no_answer(relay, grown, upstream):
    upstream.acts["RCPT"] = falls_silent
    with Attacker(relay.addresses[0], seconds=30) as client:
        client.greet()
        client.say(b"MAIL FROM:<me@here.example>\r\n" + b"RCPT TO:<you@there.example>\r\n" * 1000)
        assert [client.hear().code for _ in range(1001)] == [250] + [451] * 1000
    assert grown() < 16 * MIB


def test_a_client_that_is_refused_and_never_reads(relay, grown):
    """Each refusal waits to be written to the log: at most 20,000 do, then they are dropped and counted."""
    ask_without_reading(relay, b"RCPT TO:<a@b.c>\r\n")
    assert grown() < 48 * MIB
