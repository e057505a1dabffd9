"""One timer for all who wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from relay.deadlines import NEVER, Deadlines

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """An event loop's clock and timer, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.soon: list[Callable[[], None]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def round(self) -> None:
        """What was to be called soon is called now."""
        due, self.soon = self.soon, []
        for callback in due:
            callback()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> object:
        self.timers.append((self.now + seconds, callback))
        return object()

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self.timers and self.timers[0][0] <= end:
            self.now, callback = self.timers.pop(0)
            callback()
        self.now = end


class Waiting:
    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.expired = 0

    def expire(self) -> None:
        self.expired += 1
        self.deadline = NEVER


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def deadlines(clock: Clock) -> Deadlines:
    return Deadlines(clock)


def test_nothing_expires_before_its_time_and_soon_after_it(clock: Clock, deadlines: Deadlines):
    waiting = Waiting(10.0)
    deadlines.watch(waiting)
    clock.advance(9.9)
    assert waiting.expired == 0
    clock.advance(0.4)
    assert waiting.expired == 1


def test_it_expires_once(clock: Clock, deadlines: Deadlines):
    waiting = Waiting(1.0)
    deadlines.watch(waiting)
    clock.advance(20)
    assert waiting.expired == 1


def test_a_deadline_may_move(clock: Clock, deadlines: Deadlines):
    waiting = Waiting(1.0)
    deadlines.watch(waiting)
    clock.advance(0.9)
    waiting.deadline = 5.0
    clock.advance(3)
    assert waiting.expired == 0
    clock.advance(2)
    assert waiting.expired == 1


def test_who_is_forgotten_is_left_alone(clock: Clock, deadlines: Deadlines):
    waiting = Waiting(1.0)
    deadlines.watch(waiting)
    deadlines.forget(waiting)
    deadlines.forget(waiting)
    clock.advance(5)
    assert waiting.expired == 0


def test_never_never_comes(clock: Clock, deadlines: Deadlines):
    waiting = Waiting(NEVER)
    deadlines.watch(waiting)
    clock.advance(1000)
    assert waiting.expired == 0


def test_any_number_cost_one_timer_and_none_cost_none(clock: Clock, deadlines: Deadlines):
    crowd = [Waiting(NEVER) for _ in range(100)]
    for waiting in crowd:
        deadlines.watch(waiting)
    assert len(clock.timers) == 1
    for waiting in crowd:
        deadlines.forget(waiting)
    clock.advance(1)
    assert clock.timers == []
    deadlines.watch(crowd[0])
    assert len(clock.timers) == 1


def test_one_that_expires_may_end_another(clock: Clock, deadlines: Deadlines):
    """A connection that times out takes its client with it: nobody is called who is watched no longer... or twice."""
    second = Waiting(1.0)

    class First(Waiting):
        def expire(self) -> None:
            super().expire()
            deadlines.forget(second)
            deadlines.forget(self)

    first = First(0.5)
    deadlines.watch(first)
    deadlines.watch(second)
    clock.advance(5)
    assert (first.expired, second.expired) == (1, 0)


def test_those_who_have_much_to_do_share_a_little_of_each_round(clock, deadlines):
    done = []

    def work(name: str, left: int) -> None:
        clock.now += 0.008
        done.append(name)
        if left > 1:
            deadlines.in_turn(lambda: work(name, left - 1))

    for name in "abcd":
        deadlines.in_turn(lambda name=name: work(name, 2))
    rounds = []
    while clock.soon:
        assert len(clock.soon) == 1
        done.clear()
        clock.round()
        rounds.append("".join(done))
    assert rounds == ["abc", "dab", "cd"]


def test_a_bug_in_ones_turn_costs_nobody_else_his(clock, deadlines, caplog):
    done = []
    deadlines.in_turn(lambda: 1 / 0)
    deadlines.in_turn(lambda: done.append("b"))
    clock.round()
    assert done == ["b"]
    assert "ZeroDivisionError" in caplog.text
