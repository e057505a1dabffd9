"""Relays killed with SIGKILL at random moments while mail flows: what was answered with 250 arrives.

A letter may arrive twice only where a relay was killed between the upstream's 250 and its own note of it, which no
server can help (RFC 1047); such a pair of deliveries has a kill between them. RETRY_PROOF=full runs the full size
(`make retry-proof`), which prints what it found.
"""

from __future__ import annotations

import os
import random
import smtplib
import threading
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import pytest
from retry_relay import Relay, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from retry_upstream import Upstream

FULL = os.environ.get("RETRY_PROOF") == "full"
SETTINGS = {
    "hostname": "relay.test",
    "retry.mode": "spool",
    "retry.spool.first": "0.2",
    "retry.spool.longest": "0.5",
    "retry.spool.lease": "6",  # also the time that a relay may stand still on a busy machine
}


class Senders:
    """Clients that send one mail after the other, each to a recipient of its own, and note what was promised."""

    def __init__(self, relays: list[Relay], count: int) -> None:
        self.accepted: list[bytes] = []
        self.tried = 0
        self._relays = relays
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(number,), daemon=True) for number in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)

    def _send(self, sender: int) -> None:
        chance, number = random.Random(sender), 0
        while not self._ended.is_set():
            number += 1
            kind = chance.choice(("now", "later1", "later2"))
            live, kept = f"{kind}-{sender}-{number}@b.test", f"later1-{sender}-{number}-x@b.test"
            try:
                with chance.choice(self._relays).client(10) as client:
                    client.sendmail(
                        "anna@a.test", [live, kept], f"Subject: x\r\n\r\n{'x' * chance.randrange(9000)}\r\n"
                    )
                with self._lock:
                    self.accepted += [f"<{live}>".encode(), f"<{kept}>".encode()]
            except (OSError, smtplib.SMTPException):
                time.sleep(0.02)  # the relay is down: nothing was promised
            self.tried += 1


def kill_at_random(relay: Relay, kills: list[float], chance: random.Random) -> None:
    time.sleep(chance.uniform(0.01, 0.5))
    relay.kill()
    kills.append(time.time())
    relay.start()


def proven(senders: Senders, upstream: Upstream, kills: list[float]) -> str:
    """Wait for all that was promised, and judge what came twice; a line that says what was found."""
    promised = set(senders.accepted)
    wait_for(lambda: promised <= set(upstream.reached()), "all that was promised", 90)
    time.sleep(7)  # a lease: what is still in the spool by mistake would come again now
    lost = promised - set(upstream.reached())
    assert lost == set()
    times: dict[bytes, list[float]] = {}
    for message in upstream.received:
        for recipient in message.recipients:
            times.setdefault(recipient, []).append(message.when)
    twice = {recipient: when for recipient, when in times.items() if len(when) > 1}
    for recipient, when in twice.items():
        for first, second in pairwise(when):
            assert any(first - 0.1 <= kill <= second for kill in kills), (
                f"{recipient!r} came twice without a kill between"
            )
    return (
        f"{len(kills)} kills, {senders.tried} mails tried, {len(promised)} recipients promised, 0 lost, "
        f"{len(twice)} twice (each with a kill between the two)"
    )


@pytest.mark.timeout(1500 if FULL else 120)
def test_a_relay_killed_again_and_again_loses_nothing(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    relay, chance, kills = Relay(tmp_path, upstream.url, SETTINGS).start(), random.Random(7), []
    try:
        with Senders([relay], 4) as senders:
            for _ in range(200 if FULL else 8):
                kill_at_random(relay, kills, chance)
            time.sleep(0.5)
        found = proven(senders, upstream, kills)
        relay.stop()
    finally:
        relay.kill()
    assert senders.accepted
    with capsys.disabled():
        print(f"\nSQLite: {found}")


@pytest.mark.timeout(900 if FULL else 120)
def test_three_relays_share_a_spool_and_two_of_them_are_killed(
    upstream: Upstream, tmp_path: Path, fresh_postgresql: Callable[[], str], capsys: pytest.CaptureFixture[str]
):
    settings = SETTINGS | {"database.url": fresh_postgresql()}
    relays = [Relay(tmp_path, upstream.url, settings).start() for _ in range(3)]
    chance, kills = random.Random(11), []
    try:
        with Senders(relays, 4) as senders:
            for number in range(60 if FULL else 4):
                kill_at_random(relays[number % 2], kills, chance)
            relays[0].kill()  # and two of three stay dead: the third takes their letters over
            relays[1].kill()
            kills.append(time.time())
            time.sleep(0.5)
        found = proven(senders, upstream, kills)
        relays[2].stop()
    finally:
        for relay in relays:
            relay.kill()
    taken_over = Counter(event["event"] for relay in relays for event in relay.events("spool_taken_over"))
    with capsys.disabled():
        print(f"\nPostgreSQL, three relays: {found}; {sum(taken_over.values())} letters taken over")
