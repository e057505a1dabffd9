"""`relay run`: the relay itself, until it is told to stop."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from relay.cli.flags import (
    ConfigFlag,
    ListenFlag,
    LogFileFlag,
    LogFormatFlag,
    PracticeFlag,
    SetFlag,
    UpstreamFlag,
    gathered,
    refuse,
    settings_or_exit,
)
from relay.signals import HELD

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from socket import socket

    from relay.app import Errand, Workplace
    from relay.config import Flags, Settings
    from relay.explain import Book
    from relay.record.log import LogWriter


def run(  # noqa: PLR0913 -- a parameter for each flag
    *,
    config: ConfigFlag = None,
    listen: ListenFlag = None,
    upstream: UpstreamFlag = None,
    practice: PracticeFlag = False,
    log_format: LogFormatFlag = None,
    log_file: LogFileFlag = None,
    set_: SetFlag = None,
) -> None:
    """Start the relay. SIGTERM stops it when the mail in flight is done; SIGHUP reads settings and book again.

    SIGUSR2 only opens the log file anew, as SIGHUP does too.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    from relay.config import Flags
    from relay.config.listener import Address
    from relay.sockets import bind, name_of

    flags = Flags(tuple(listen or ()), upstream, practice, log_format, log_file, tuple(set_ or ()))
    desk = bind([Address("127.0.0.1", 0)])[0][0][0] if practice else None
    if desk is not None:
        flags = replace(flags, upstream=f"smtp+plain://{name_of(desk)}")
    try:
        _Run(config, flags, desk).start()
    except KeyboardInterrupt:  # a second Ctrl-C while draining
        raise typer.Exit(130) from None


class _Run:
    """One `relay run`. `desk` is the socket of the practice upstream, if there is one."""

    def __init__(self, config: Path | None, flags: Flags, desk: socket | None) -> None:
        self._gather = partial(gathered, config, flags)
        self._settings = settings_or_exit(self._gather())
        self._desk = desk
        self._supervisors: LogWriter  # its log, which the processes inherit

    def start(self) -> None:
        """Serve until told to stop; what cannot be begun ends the command with status 2, or 1 if it may go away."""
        from relay.explain import BookError
        from relay.sockets import make_room
        from relay.supervisor import StartError

        make_room()
        try:
            if self._settings.workers > 1:
                self._supervise()
            else:
                self._alone()
        except OSError as error:
            refuse(OSError(f"the relay cannot listen: {error}"), status=1)
        except BookError as error:
            refuse(error)
        except (StartError, ValueError) as error:  # a process of several; the spool's database cannot be used
            refuse(error, status=1)

    def _alone(self) -> None:
        from relay import memory
        from relay.app import Workplace
        from relay.parts import read_book

        settings, book, log = self._settings, read_book(self._settings), self._log()
        try:
            place = Workplace.alone(settings, log)
            memory.settle()
            self._serve(settings, book, place, self._errand(partial(self._announce, log), log))
        finally:
            log.stop()

    def _supervise(self) -> None:
        from relay.supervisor import Orders, Supervisor

        log = self._supervisors = self._log(direct=True)
        office = self._desk is not None or self._settings.web.listen is not None or self._settings.spooling
        supervisor = Supervisor(self._settings, Orders(self._member, self._reload(log), _reopen(log), log, office))
        supervisor.run(partial(self._announce, log))

    def _member(self, settings: Settings, book: Book, place: Workplace, errand: Errand) -> None:
        """What each process of several does."""
        log = self._log()
        try:
            # Together with the supervisor's: a file that was moved away is held by nobody any more.
            errand = self._errand(errand.ready, log, self._supervisors)
            self._serve(settings, book, replace(place, log=log), errand)
        finally:
            log.stop()

    def _serve(self, settings: Settings, book: Book, place: Workplace, errand: Errand) -> None:
        from relay.app import serve

        async def work() -> None:
            async with AsyncExitStack() as ends:
                if self._desk is not None and place.office:
                    from relay.practice import start

                    ends.push_async_callback((await start(sock=self._desk)).close)
                await serve(settings, book, place, errand)

        _loop_runner()(work())

    def _announce(self, log: LogWriter, addresses: tuple[str, ...]) -> None:
        """Say on standard error, and in the log if that is elsewhere, that the relay serves, and where."""
        from relay.sockets import room

        settings, found = self._settings, room()
        upstream = settings.upstream.url.place if settings.upstream.url else ""
        log.info("relay_ready", listen=list(addresses), upstream=upstream)
        if settings.log.file is not None:
            with suppress(OSError):  # nobody reads it
                typer.echo(f"relay_ready listen={','.join(addresses)} upstream={upstream}", err=True)
        expected = settings.limits.connections
        if found < expected:
            cure = "ulimit -n, or limits.connections"
            log.warning("few_descriptors", connections=found, expected=expected, cure=cure)

    def _log(self, *, direct: bool = False) -> LogWriter:
        from relay.record.log import start_log

        log = self._settings.log
        style = log.format or ("console" if _on_a_terminal(self._settings) else "json")
        try:
            return start_log(style=style, file=log.file, level=log.level, direct=direct)
        except OSError as error:
            refuse(OSError(f"log.file: {error}"))

    def _errand(self, ready: Callable[[tuple[str, ...]], None], *logs: LogWriter) -> Errand:
        from relay.app import Errand

        return Errand(self._reload(*logs), _reopen(*logs), ready)

    def _reload(self, *logs: LogWriter) -> Callable[[], Settings]:
        def reload() -> Settings:
            _reopen(*logs)()
            return self._gather().settings()

        return reload


def _reopen(*logs: LogWriter) -> Callable[[], None]:
    def reopen() -> None:
        for log in logs:
            log.reopen()

    return reopen


def _on_a_terminal(settings: Settings) -> bool:
    import sys

    return settings.log.file is None and sys.stderr.isatty()


def _loop_runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    import asyncio

    try:
        import uvloop
    except ImportError:  # Windows, PyPy
        return asyncio.run
    return uvloop.run
