"""Each way to fail at each point of the dialogue: the client always hears a well-formed, explained 4xx, and in time."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hostile_client import Attacker, logged
from hostile_upstream import Upstream, closes, dies, falls_silent, resets, says, trickles

if TYPE_CHECKING:
    from running_client import Answer

POINTS = ("greeting", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "dot")
PATIENCE = 0.4  # how long the relay waits for a reply
WAITS = {"upstream_reply": PATIENCE, "upstream_connect": PATIENCE, "upstream_tls": PATIENCE}
LOGIN = "AUTH PLAIN " + base64.b64encode(b"\0anna\0secret").decode()
GOOD = {
    "greeting": b"220 upstream.example\r\n",
    "EHLO": b"250 upstream.example\r\n",
    "STARTTLS": b"220 2.0.0 Go ahead\r\n",
    "AUTH": b"235 2.7.0 Welcome\r\n",
    "DATA": b"354 Go on\r\n",
}
WRONG = {"DATA": b"250 2.0.0 Ok\r\n", "AUTH": b"354 Go on\r\n"}
WAYS = {
    "down": lambda _: dies,
    "fin": lambda _: closes(),
    "rst": lambda _: resets(),
    "silence": lambda _: falls_silent,
    "trickle": lambda _: trickles(b"250-one more line\r\n"),
    "421": lambda _: closes(b"421 4.3.2 upstream.example is shutting down\r\n"),
    "garbage": lambda _: says(b"\x00\xff\x1b[2J no reply at all\r\n"),
    "early": lambda point: says(GOOD.get(point, b"250 2.1.0 Ok\r\n") + b"250 2.0.0 Ok\r\n"),
    "wrong-class": lambda point: says(WRONG.get(point, b"354 Go on\r\n")),
}
# What the log says it was. The words of the client's reply come from the page of the book for it.
FAULTS = {
    "down": "disconnected",
    "fin": "disconnected",
    "rst": "disconnected",
    "silence": "timeout",
    "trickle": "timeout",
    "421": None,
    "garbage": "garbled",
    "early": "garbled",
    "wrong-class": "garbled",
}
EXCEPTIONS = {
    **{(point, "down"): "refused" for point in POINTS[:3]},  # EHLO of the client was its end: MAIL finds nobody
    ("AUTH", "early"): "login-lost",
    **{("dot", way): "outcome-unknown" for way in ("down", "fin", "rst", "silence", "trickle")},
}


@pytest.fixture(scope="module")
def fresh(certificates, good_tls, relay_before):
    """A relay that opens a connection for each mail, and its upstream, which speaks STARTTLS."""
    way = {"tls": {"ca_file": str(certificates.authority)}, "pool": {"idle": 0}}
    with Upstream(good_tls) as upstream, relay_before(upstream, "smtp", upstream=way, timeouts=WAITS) as relay:
        yield relay, upstream


@pytest.fixture(scope="module")
def kept(relay_before):
    """A relay that keeps its connections, and its upstream."""
    with Upstream() as upstream, relay_before(upstream, timeouts=WAITS) as relay:
        yield relay, upstream


def refusal(client: Attacker, *, log_in: bool = False) -> Answer:
    """Try to send a mail; the first reply that is no success."""
    assert client.greet().code == 250
    said = [LOGIN.encode()] if log_in else []
    said += [b"MAIL FROM:<me@here.example>", b"RCPT TO:<you@there.example>", b"DATA", b"Subject: x\r\n\r\nHello.\r\n."]
    for line in said:
        client.say(line + b"\r\n")
        if (answer := client.hear()).code >= 400:
            return answer
    raise AssertionError(f"the mail went through: {answer}")


def assert_well_again(relay, upstream) -> None:
    upstream.behave()
    with Attacker(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail().code == 250


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("point", POINTS)
def test_a_new_connection_that_fails(fresh, point, way):
    relay, upstream = fresh
    upstream.behave()
    misbehave(upstream, point, way)
    with Attacker(relay.addresses[0]) as client:
        answer = refusal(client, log_in=point == "AUTH")
    assert_told(relay, answer, (point, way))
    assert_well_again(relay, upstream)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("point", POINTS[POINTS.index("MAIL") :])
def test_a_kept_connection_that_fails(kept, point, way):
    """The second mail on a connection. One that breaks or says 421 at once is replaced; the next does the same."""
    relay, upstream = kept
    assert_well_again(relay, upstream)
    connections = upstream.connections
    misbehave(upstream, point, way)
    with Attacker(relay.addresses[0]) as client:
        answer = refusal(client)
    fault = "refused" if (point, way) == ("MAIL", "down") else None
    assert_told(relay, answer, (point, way), fault)
    assert upstream.connections - connections == (1 if point == "MAIL" and way in ("fin", "rst", "421") else 0)
    assert_well_again(relay, upstream)


def misbehave(upstream: Upstream, point: str, way: str) -> None:
    if (point, way) == ("greeting", "down"):
        upstream.down()
    elif (point, way) == ("dot", "early"):  # behind the dot it would be the verdict
        upstream.acts["DATA"] = says(b"354 Go on\r\n250 2.0.0 Ok: queued\r\n")
    else:
        upstream.acts[point] = WAYS[way](point)


def assert_told(relay, answer: Answer, cell: tuple[str, str], fault: str | None = None) -> None:
    """The client heard a temporary failure with the right code, and the log knows the right reason for it."""
    event = logged(relay, answer)
    expected = fault or EXCEPTIONS.get(cell, FAULTS[cell[1]])
    assert event["fault"] == expected, event
    assert answer.code == (421 if expected in (None, "login-lost") else 451)
