"""Where the upstream is: asked once for all who wait, remembered for a moment."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from relay.upstream import names
from relay.upstream.names import Names


class Resolver:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer: list[str] | Exception = ["192.0.2.1", "192.0.2.2"]
        self.let = threading.Event()
        self.let.set()

    def __call__(self, _: str, port: int, **__: object) -> list[tuple[object, ...]]:
        self.asked += 1
        assert self.let.wait(5)
        if isinstance(self.answer, Exception):
            raise self.answer
        return [(0, 0, 0, "", (each, port)) for each in self.answer]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    resolver = Resolver()
    monkeypatch.setattr(names.socket, "getaddrinfo", resolver)
    return resolver


async def test_many_who_wait_cause_one_look_and_those_who_give_up_none(resolver: Resolver):
    resolver.let.clear()
    found = Names()
    waiting = [asyncio.create_task(found.find("mail.example", 25)) for _ in range(20)]
    await asyncio.sleep(0.05)
    for task in waiting[:10]:
        task.cancel()
    waiting += [asyncio.create_task(found.find("mail.example", 25)) for _ in range(20)]
    await asyncio.sleep(0.05)
    resolver.let.set()
    answers = await asyncio.gather(*waiting[10:])
    assert all(answer == [("192.0.2.1", 25), ("192.0.2.2", 25)] for answer in answers)
    assert resolver.asked == 1


async def test_an_answer_is_remembered_for_a_moment_only(resolver: Resolver, monkeypatch: pytest.MonkeyPatch):
    found = Names()
    await found.find("mail.example", 25)
    await found.find("mail.example", 25)
    assert resolver.asked == 1
    monkeypatch.setattr(found, "_stale", 0.0)
    resolver.answer = ["192.0.2.3"]
    assert await found.find("mail.example", 25) == [("192.0.2.3", 25)]


async def test_the_address_that_was_reached_is_tried_first_also_after_another_look(resolver: Resolver, monkeypatch):
    found = Names()
    await found.find("mail.example", 25)
    found.reached(("192.0.2.2", 25))
    assert (await found.find("mail.example", 25))[0] == ("192.0.2.2", 25)
    monkeypatch.setattr(found, "_stale", 0.0)
    assert (await found.find("mail.example", 25))[0] == ("192.0.2.2", 25)
    assert resolver.asked == 2


async def test_a_failure_is_told_to_all_and_not_remembered(resolver: Resolver):
    found = Names()
    resolver.answer = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    told = await asyncio.gather(*(found.find("mail.example", 25) for _ in range(2)), return_exceptions=True)
    assert all(isinstance(each, socket.gaierror) for each in told)
    resolver.answer = ["192.0.2.1"]
    assert await found.find("mail.example", 25) == [("192.0.2.1", 25)]


async def test_an_address_needs_no_look(resolver: Resolver):
    assert await Names().find("192.0.2.9", 25) == [("192.0.2.9", 25)]
    assert resolver.asked == 0


async def test_a_machine_without_room_for_a_thread_is_asked_again_later(resolver: Resolver, monkeypatch):
    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    found = Names()
    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", full)
        with pytest.raises(OSError, match="can't start new thread"):
            await found.find("mail.example", 25)
    assert await found.find("mail.example", 25) == [("192.0.2.1", 25), ("192.0.2.2", 25)]
