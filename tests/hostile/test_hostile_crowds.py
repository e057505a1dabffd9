"""Crowds: every reply is right, nobody starves the others, and when they are gone nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from crowd import FULL, Guest, all_of, need_descriptors
from hostile_upstream import says
from running_relay import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent
MANY = 2_000 if FULL else 500
MISBEHAVING = 500 if FULL else 200
REFUSED = 500

# Writes how many tasks there are when it gets SIGRTMIN. What runs in the relay's process before it starts.
COUNT_TASKS = """
import asyncio, gc, signal
def count(*_):
    tasks = sum(isinstance(each, asyncio.Task) and not each.done() for each in gc.get_objects())
    open({path!r}, "w").write(str(tasks) + ".")
signal.signal(signal.SIGRTMIN, count)
"""


@pytest.fixture
def relay(behaves, relay_before, tmp_path):
    need_descriptors(3 * MANY + 500)
    settings = {
        "limits": {"connections": 2 * MANY + 500, "errors": 20, "login_failures": 10},
        "timeouts": {"client_idle": 30},
    }
    with relay_before(behaves, before=COUNT_TASKS.format(path=str(tmp_path / "tasks")), **settings) as relay:
        yield relay


async def test_refusals_of_many_at_once_are_each_ones_own(relay, behaves):
    async def refuse(speaker) -> None:
        number = int(behaves.commands[-1].partition(b"<r")[2].partition(b"@")[0])
        code, status = ((550, "5.1.1"), (452, "4.2.2"))[number % 2]
        await speaker.say(f"{code} {status} The number {number} is not wanted\r\n".encode())

    behaves.acts["RCPT"] = refuse

    async def one(number: int) -> None:
        guest = await Guest.come(relay.addresses[0])
        await guest.greet()
        answer = await guest.send_mail(f"r{number}@there.example")
        assert answer.code == (550, 452)[number % 2]
        assert f"number {number} is" in " ".join(line[10:] for line in answer.text.splitlines())
        await guest.leave()

    await all_of(map(one, range(REFUSED)), REFUSED)
    assert behaves.messages == []


async def test_a_crowd_at_once_survives(relay, behaves, figure):
    guests = []

    async def come(number: int) -> None:
        guest = await Guest.come(relay.addresses[0])
        guests.append(guest)
        await guest.greet()

    async def send(guest: Guest) -> None:
        assert (await guest.send_mail("you@there.example")).code == 250
        await guest.leave()

    started = time.monotonic()
    await all_of(map(come, range(MANY)), 200)
    figure(f"{MANY} connections at once, all greeted: {time.monotonic() - started:.1f} s")
    assert len(guests) == MANY
    await all_of(map(send, guests), MANY)
    figure(f"and each has sent a mail: {time.monotonic() - started:.1f} s")
    assert len(behaves.messages) == MANY


@contextmanager
def a_mob(relay, size: int) -> Iterator[None]:
    """So many clients, in a process of their own, misbehave for the length of the block."""
    host, port = relay.addresses[0]
    mob = subprocess.Popen(
        [sys.executable, str(_HERE / "crowd.py"), host, str(port), str(size)],
        env={**os.environ, "PYTHONPATH": str(_HERE.parent / "running")},
    )
    try:
        yield
        assert mob.poll() is None
    finally:
        mob.kill()
        mob.wait()


async def test_a_good_clients_mail_passes_while_many_misbehave(relay, behaves, figure):
    behaves.acts["AUTH"] = says(b"535 5.7.8 Bad credentials\r\n")
    seconds = []
    with a_mob(relay, MISBEHAVING):
        await asyncio.to_thread(wait_for, lambda: descriptors_of(relay) > MISBEHAVING // 2, "the mob", 30)
        for _ in range(5):
            started = time.monotonic()
            guest = await Guest.come(relay.addresses[0])
            await guest.greet()
            assert (await guest.send_mail("you@there.example")).code == 250
            await guest.leave()
            seconds.append(time.monotonic() - started)
    figure(
        f"a good mail while {MISBEHAVING} misbehave: median {sorted(seconds)[2]:.2f} s, longest {max(seconds):.2f} s"
    )


def tasks_of(relay, directory: Path) -> int:
    path = directory / "tasks"
    path.unlink(missing_ok=True)
    relay.process.send_signal(signal.SIGRTMIN)
    return int(wait_for(lambda: path.exists() and path.read_text().endswith(".") and path.read_text()[:-1], "tasks"))


def descriptors_of(relay) -> int:
    return sum(1 for _ in Path(f"/proc/{relay.process.pid}/fd").iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors of a process are read from /proc")
async def test_nothing_is_left_of_those_that_vanish(relay, behaves, tmp_path, figure):
    """Half of them say goodbye, half vanish, each at a point of the dialogue of its own."""
    chance = random.Random(3)
    said = ("EHLO client.example", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA", "half\r\nof\r\nit")

    async def vanish(number: int) -> None:
        guest = await Guest.come(relay.addresses[0])
        for line in said[: chance.randrange(len(said) + 1)]:
            guest.writer.write(line.encode() + b"\r\n")
            if chance.random() < 0.5 and line != said[-1]:
                await guest.hear()
        if chance.random() < 0.5:
            guest.vanish()
        else:
            await guest.close()

    async def stay(number: int) -> None:
        guest = await Guest.come(relay.addresses[0])
        await guest.greet()
        assert (await guest.send_mail("you@there.example")).code == 250
        await guest.leave()

    await all_of(map(stay, range(5)), 1)
    descriptors, tasks = descriptors_of(relay), tasks_of(relay, tmp_path)
    await all_of(((vanish, stay)[number % 2](number) for number in range(MANY)), 100)
    kept = 20  # upstream.pool.idle

    def all_gone() -> bool:
        return behaves.open <= kept and descriptors_of(relay) <= descriptors + kept

    await asyncio.to_thread(wait_for, all_gone, "the descriptors to be closed", 20)
    left = tasks_of(relay, tmp_path)
    figure(
        f"after {MANY} sessions: descriptors {descriptors} -> {descriptors_of(relay)}, "
        f"tasks {tasks} -> {left}, upstream connections {behaves.open} (the pool keeps {kept})"
    )
    assert left <= tasks


def limited_to(soft: int, hard: int | str = "hard") -> str:
    """Python that gives the relay's process so few descriptors."""
    return (
        f"import resource as r; _, hard = r.getrlimit(r.RLIMIT_NOFILE); r.setrlimit(r.RLIMIT_NOFILE, ({soft}, {hard}))"
    )


async def test_the_relay_takes_the_descriptors_that_its_clients_need(behaves, relay_before):
    """Two for each of them; the system's usual 1,024 are too few for 1,000 clients."""
    need_descriptors(1_000)
    with relay_before(behaves, before=limited_to(100)) as relay:
        guests = [await Guest.come(relay.addresses[0]) for _ in range(120)]
        for guest in guests:
            await guest.greet()
            assert (await guest.ask("MAIL FROM:<me@here.example>")).code == 250
        for guest in guests:
            await guest.leave()


async def test_a_relay_that_runs_out_of_descriptors_recovers(behaves, relay_before):
    """It cannot serve them all, but it lives, and serves whoever comes when there is room again."""
    limit = 60
    with relay_before(behaves) as relay:
        # Only now: fewer from the start, and it would let in no more clients than there are descriptors for.
        resource.prlimit(relay.process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        guests = [await Guest.come(relay.addresses[0]) for _ in range(2 * limit)]
        await asyncio.to_thread(wait_for, lambda: descriptors_of(relay) >= limit - 3, "the relay to be full")
        for guest in guests:
            guest.vanish()
        await asyncio.to_thread(wait_for, lambda: descriptors_of(relay) < limit // 2, "room")
        guest = await Guest.come(relay.addresses[0])
        await guest.greet()
        assert (await guest.send_mail("you@there.example")).code == 250
        await guest.leave()
