"""Memory: nothing that a client or an upstream sends, however much, is held by the relay as a whole."""

from __future__ import annotations

import select
import sys

import pytest
from running_client import Client

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")

MIB = 1 << 20
LINES = (b"x" * 70 + b"\r\n") * (MIB // 72)


@pytest.fixture
def relay(start):
    """A relay that has passed a mail on already: what is loaded once is loaded."""
    relay = start()
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail().code == 250
    return relay


def begun(relay) -> int:
    relay.forget_peak()
    return relay.memory()


def test_a_large_message(relay, upstream):
    upstream.conduct.slow_pieces = 20
    with Client(relay.addresses[0], seconds=30) as client:
        client.greet()
        before = begun(relay)
        client.begin_message()
        for _ in range(100):
            client.say(LINES)
        client.say(b".\r\n")
        assert client.hear().code == 250
        assert relay.memory_peak() - before < 32 * MIB
    assert upstream.conduct.size == 100 * len(LINES) + len(b".\r\n")


def test_an_endless_command_line(relay):
    """The relay may refuse and close at any time; until then it must not gather the line."""
    with Client(relay.addresses[0]) as client:
        client.greet()
        before = begun(relay)
        refused = False
        for _ in range(96):
            try:
                client.say(b"x" * MIB)
            except (ConnectionResetError, BrokenPipeError):
                refused = True
                break
        refused = refused or bool(select.select([client.sock], [], [], 5)[0])
        assert refused
        assert relay.memory_peak() - before < 16 * MIB
    with Client(relay.addresses[0]) as client:
        assert client.greet().code == 250


@pytest.mark.parametrize(
    ("reply", "times"),
    [(b"250-" + b"x" * 1000 + b"\r\n", 10_000), (b"x" * MIB, 10), (b"250 2.1.0 Ok\r\n", 700_000)],
    ids=["one-of-many-lines", "one-line", "many"],
)
def test_an_endless_reply(relay, upstream, reply, times):
    upstream.conduct.mail_reply, upstream.conduct.mail_reply_times = reply, times
    with Client(relay.addresses[0]) as client:
        client.greet()
        before = begun(relay)
        answer = client.ask("MAIL FROM:<me@here.example>")
        assert answer.code in (250, 451)
        if times != 700_000:
            assert answer.code == 451
        assert relay.memory_peak() - before < 16 * MIB
    with Client(relay.addresses[0]) as client:
        upstream.conduct.mail_reply, upstream.conduct.mail_reply_times = b"250 2.1.0 Ok\r\n", 1
        client.greet()
        assert client.send_mail().code == 250
