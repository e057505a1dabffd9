"""Several processes that share the work, forked from one that watches them and passes signals on.

Every process that accepts clients has sockets of its own on each address, which the supervisor keeps open: clients that
wait in them are served by the process that follows one that died. One more process, the office, carries what must exist
once, if there is any such thing.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from relay import memory
from relay.app import Errand, Workplace, tell_refused
from relay.parts import listener_of, read_book
from relay.proxy.places import SharedPlaces
from relay.record.counters import CLIENTS, Counters
from relay.signals import HELD, RELOAD, REOPEN
from relay.sockets import Sockets, bind, name_of, silent_twin

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.config import Settings
    from relay.explain.book import Book
    from relay.record.log import Log

_READY = signal.SIGUSR1  # a process tells the supervisor that it works
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, _READY, *HELD}
_BEYOND_DRAIN_SECONDS = 25.0  # the spool's worker may need 20; then a process that does not stop is killed
_SHORT_LIFE_SECONDS = 5.0  # a process that died so soon is started again only after a while
_LONGEST_PAUSE_SECONDS = 30.0
_ROUND_SECONDS = 1.0
_BEAT_SECONDS = 1.0
_SILENT_ROUNDS = 30  # a process that shows no life for so long hangs, and its clients with it


class Work(Protocol):
    """What a process does: it logs on its own, serves, and ends; called in the process itself."""

    def __call__(self, settings: Settings, book: Book, place: Workplace, errand: Errand) -> None:
        """Run until told to stop. `place.log` is the supervisor's own, to be replaced."""


class Orders(NamedTuple):
    """What the supervisor is told: what each process does, how settings are read and its log opened again, the log.

    `office`: whether there is something to carry once.
    """

    work: Work
    reload: Callable[[], Settings]
    reopen: Callable[[], None]
    log: Log
    office: bool


@dataclass(slots=True)
class _Member:
    """One process of the crew, by its row; `pid` is 0 while it is not running."""

    row: int
    sockets: Sockets
    pid: int = 0
    started: float = 0.0
    short_lives: int = 0
    due: float = 0.0
    beat: int = 0  # as it was last seen
    silent_rounds: int = 0

    def ended(self) -> bool:
        """Whether it was running and does so no more; told once."""
        if not self.pid or os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            return False
        self.pid = 0
        return True

    def close_sockets(self) -> None:
        """Close them in this process."""
        for listener in self.sockets:
            for sock in listener:
                sock.close()


class StartError(RuntimeError):
    """A process ended before all had begun: what it lacks, a restart of it alone would lack too."""


class Supervisor:
    """Starts the crew and stays with it until it is told to stop.

    Raises (from `run`):
        StartError: not every process could begin.
        KeyboardInterrupt: SIGINT came while it was stopping; nobody was waited for.
        OSError: an address cannot be bound.
        BookError: the book holds mistakes.
    """

    def __init__(self, settings: Settings, orders: Orders) -> None:
        self._settings = settings
        self._work, self._reload, self._reopen, self._log, with_office = orders
        self._book = read_book(settings)
        sockets = bind((listener.address for listener in settings.listen), settings.workers)
        self.addresses = tuple(dict.fromkeys(name_of(sock) for listener in sockets[0] for sock in listener))
        office = (tuple(() for _ in settings.listen),) if with_office else ()
        self._crew = [_Member(row, given) for row, given in enumerate((*sockets, *office))]
        self._workers = settings.workers
        self._counters = Counters(len(self._crew))
        self._places = SharedPlaces(len(self._crew))
        self._beats = mmap.mmap(-1, len(self._crew))  # one octet for each process: 0 until it is ready, then it changes
        self._pid = os.getpid()
        self._lifeline, self._life = os.pipe()  # the other processes see its end when this one is gone

    def run(self, announce: Callable[[tuple[str, ...]], None]) -> None:
        """Work until SIGTERM or SIGINT; `announce` is called once every process serves."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        memory.settle()
        for member in self._crew:
            self._start(member)
        told = False
        while True:
            heard = signal.sigtimedwait(_SIGNALS, _ROUND_SECONDS)
            number = heard.si_signo if heard is not None else 0
            if heard is None:
                self._kill_those_that_hang()
            if number in (signal.SIGTERM, signal.SIGINT):
                break
            if number == RELOAD:
                self._renew()
            elif number == REOPEN:
                self._reopen()
                self._tell_all(REOPEN)
            self._bury()
            if not told and any(not member.pid for member in self._crew):
                self._stop()
                raise StartError("a process of the relay could not begin its work; the log says why (worker_failed)")
            self._start_those_due()
            if not told and all(self._beats[:]):
                told = True
                announce(self.addresses)
        self._stop()

    def _start(self, member: _Member) -> None:
        member.started = time.monotonic()
        member.pid = os.fork()
        if member.pid == 0:
            os._exit(self._be(member))

    def _be(self, member: _Member) -> int:
        """What the forked process does; its exit status."""
        try:
            os.close(self._life)
            self._close_sockets(but=member)  # else clients would wait in them when those who accept there have gone
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS - HELD)
            self._places.take_row(member.row)
            place = Workplace(
                sockets=member.sockets,
                log=self._log,
                counters=self._counters,
                places=self._places,
                row=member.row,
                office=member.row >= self._workers,
                serves=lambda: any(self._beats[: self._workers]),
                lifeline=self._lifeline,
            )
            errand = Errand(self._reload, self._reopen, lambda _: self._tell_ready(member))
            self._work(self._settings, self._book, place, errand)
        except KeyboardInterrupt:  # a second Ctrl-C at the terminal reaches every process
            return 130
        except BaseException as error:  # noqa: BLE001 -- whatever it is; the process's own log is closed by now
            self._log.error("worker_failed", worker=member.row, why=str(error), exception=traceback.format_exc())
            return 1
        return 0

    def _tell_ready(self, member: _Member) -> None:
        self._beat(member.row, asyncio.get_running_loop())
        if os.getppid() == self._pid:  # else the supervisor is gone, and its signal would reach somebody else
            os.kill(self._pid, _READY)

    def _beat(self, row: int, loop: asyncio.AbstractEventLoop) -> None:
        """Show the supervisor that the loop of this process still goes round, now and every second."""
        self._beats[row] = self._beats[row] % 255 + 1
        loop.call_later(_BEAT_SECONDS, self._beat, row, loop)

    def _kill_those_that_hang(self) -> None:
        """Called in each round without a signal. Rounds are counted, not seconds: what stops all harms nobody."""
        for member in self._crew:
            beat = self._beats[member.row]
            if not member.pid or beat != member.beat or beat == 0:
                member.beat, member.silent_rounds = beat, 0
                continue
            member.silent_rounds += 1
            if member.silent_rounds == _SILENT_ROUNDS:
                self._log.error("worker_hangs", worker=member.row, pid=member.pid, seconds=_SILENT_ROUNDS)
                os.kill(member.pid, signal.SIGKILL)

    def _bury(self) -> None:
        """Take note of every process that has ended, and decide when it is started again."""
        for member in self._crew:
            pid = member.pid
            if not member.ended():
                continue
            self._forget_clients(member)
            self._beats[member.row] = 0
            now = time.monotonic()
            member.short_lives = member.short_lives + 1 if now - member.started < _SHORT_LIFE_SECONDS else 0
            pause = min(0.25 * 2**member.short_lives, _LONGEST_PAUSE_SECONDS) if member.short_lives else 0.0
            self._log.error("worker_died", worker=member.row, pid=pid, restart_in=pause)
            member.due = now + pause
            if member.short_lives > 1 and any(self._beats[: self._workers]):  # else nobody would serve them either
                self._withdraw(member)

    def _withdraw(self, member: _Member) -> None:
        """Let new clients go to the other processes: here they would wait for long. The one that follows listens."""
        try:
            silent = tuple(tuple(silent_twin(sock) for sock in listener) for listener in member.sockets)
        except OSError as error:  # then they wait
            self._log.error("worker_not_withdrawn", worker=member.row, why=str(error))
            return
        member.close_sockets()
        member.sockets = silent

    def _forget_clients(self, member: _Member) -> None:
        """Those of a process that has ended are gone, and take no places from the others'."""
        self._places.clear_row(member.row)
        self._counters.row(member.row).set(CLIENTS, 0)

    def _start_those_due(self) -> None:
        for member in self._crew:
            if not member.pid and time.monotonic() >= member.due:
                try:
                    self._start(member)
                except OSError as error:  # the machine has no room for another process now
                    member.due = time.monotonic() + _LONGEST_PAUSE_SECONDS
                    self._log.error("worker_not_started", why=str(error), restart_in=_LONGEST_PAUSE_SECONDS)

    def _renew(self) -> None:
        """Try the new settings and the new book here first: either every process takes them over, or none."""
        try:
            settings = self._reload().as_begun(self._settings)
            for listener in settings.listen:  # their certificates
                listener_of(listener)
            self._settings, self._book = settings, read_book(settings)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the crew works on with the old ones
            tell_refused(self._log, error)
            self._tell_all(REOPEN)  # but a log that was moved away is let go of
        else:
            self._tell_all(RELOAD)
            memory.settle()

    def _stop(self) -> None:
        self._close_sockets()  # nobody may wait there in vain
        self._tell_all(signal.SIGTERM)
        deadline = time.monotonic() + self._settings.timeouts.drain + _BEYOND_DRAIN_SECONDS
        while any(member.pid for member in self._crew):
            for member in self._crew:
                member.ended()
            heard = signal.sigtimedwait(_SIGNALS, 0.1)
            impatient = heard is not None and heard.si_signo == signal.SIGINT
            if impatient or time.monotonic() > deadline:
                self._tell_all(signal.SIGKILL)
            if impatient:
                raise KeyboardInterrupt

    def _close_sockets(self, *, but: _Member | None = None) -> None:
        for member in self._crew:
            if member is not but:
                member.close_sockets()

    def _tell_all(self, number: signal.Signals) -> None:
        for member in self._crew:
            if member.pid:
                os.kill(member.pid, number)
