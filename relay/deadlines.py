"""When things are done, for any number of connections together: deadlines, writes once a round, turns one by one."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_log = logging.getLogger(__name__)

_TICK_SECONDS = 0.2
_TURNS_SECONDS = 0.02  # of a round, for all that wait for their turn

NEVER = float("inf")


class Watched(Protocol):
    """Something that waits. `deadline` is in the loop's seconds; NEVER where nothing is awaited."""

    deadline: float

    def expire(self) -> None:
        """Called when the deadline has passed; must move the deadline or stop being watched."""


class Deadlines:
    """Looks at all deadlines five times a second, and not at all while there is nothing to watch.

    A wait costs an attribute, not a timer of its own.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: dict[Watched, None] = {}  # in the order in which they came, so that time ends fairly
        self._timer: asyncio.TimerHandle | None = None
        self._due: list[Callable[[], None]] = []
        self._turns: deque[Callable[[], None]] = deque()

    def now(self) -> float:
        """The loop's time in seconds, which deadlines are told in."""
        return self._loop.time()

    def soon(self, write: Callable[[], None]) -> None:
        """Call `write` when all that came in this round of the loop is worked on.

        Written one by one, replies wake the program that waits for them each time, only for it to wait for the next.
        """
        if not self._due:
            self._loop.call_soon(self._write)
        self._due.append(write)

    def in_turn(self, work: Callable[[], None]) -> None:
        """Call `work` in one of the next rounds, behind all who wait for their turn already.

        Those who have much to do, a flood of commands or of refusals, so lengthen each round for the others only by a
        little, however many they are.
        """
        if not self._turns:
            self._loop.call_soon(self._take_turns)
        self._turns.append(work)

    def watch(self, watched: Watched) -> None:
        """Begin to look at its deadline."""
        self._watched[watched] = None
        if self._timer is None:
            self._timer = self._loop.call_later(_TICK_SECONDS, self._tick)

    def forget(self, watched: Watched) -> None:
        """Look no longer at it; harmless if it was not watched."""
        self._watched.pop(watched, None)

    def _write(self) -> None:
        due, self._due = self._due, []
        for write in due:
            try:
                write()
            except Exception:  # noqa: BLE001 -- one connection's trouble must not cost another its reply
                _log.exception("a bug while something was written")

    def _take_turns(self) -> None:
        end = self._loop.time() + _TURNS_SECONDS
        for _ in range(len(self._turns)):
            work = self._turns[0]  # it stays there meanwhile: who comes now asks for no other round
            try:
                work()
            except Exception:  # noqa: BLE001 -- one connection's trouble must not cost another its turn
                _log.exception("a bug in somebody's turn")
            self._turns.popleft()
            if self._loop.time() > end:
                break
        if self._turns:
            self._loop.call_soon(self._take_turns)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(_TICK_SECONDS, self._tick) if self._watched else None
        now = self._loop.time()
        for watched in [each for each in self._watched if each.deadline <= now]:
            try:
                watched.expire()
            except Exception:  # noqa: BLE001 -- nor another its end
                _log.exception("a bug while a deadline was kept")
