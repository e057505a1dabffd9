"""The relay as a whole: builds every part from the settings, runs them, renews them on SIGHUP, stops them in order."""

from __future__ import annotations

import asyncio
import signal
import traceback
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay import memory
from relay.config.problem import SettingsError
from relay.deadlines import Deadlines
from relay.explain import BookError
from relay.parts import keeping_of, listener_of, read_book, rules_of, server_of, teller_of
from relay.proxy.places import OwnPlaces, Places
from relay.proxy.server import ClientConnection
from relay.proxy.service import Listener, Service, Ways
from relay.record.counters import Counters
from relay.record.journal import Journal
from relay.signals import HELD, RELOAD, REOPEN
from relay.sockets import BACKLOG, Sockets, acceptors, bind, name_of
from relay.upstream.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.config import Settings
    from relay.explain.book import Book
    from relay.later import Later
    from relay.record.log import Log


_RENEWAL_PAUSE_SECONDS = 1.0  # no mail moves while settings and book are read: many SIGHUPs are one


@dataclass(frozen=True, slots=True)
class Workplace:
    """What a process is given to work with; its first process makes what several share.

    `sockets` are those it accepts from, for each listener; `office` tells whether it also carries what must exist
    once: the metrics page, the worker of the spool.
    """

    sockets: Sockets
    log: Log
    counters: Counters
    places: Places
    row: int = 0
    office: bool = True
    lifeline: int | None = None  # a descriptor that ends when the process that made us does
    serves: Callable[[], bool] = lambda: True  # whether any process accepts clients

    @classmethod
    def alone(cls, settings: Settings, log: Log) -> Workplace:
        """The one of a relay that is a single process.

        Raises:
            OSError: an address cannot be bound.
        """
        return cls(bind(listener.address for listener in settings.listen)[0], log, Counters(), OwnPlaces())


class Relay:
    """A running relay. Everything it is made of comes from `settings`, and from the workplace it is given."""

    def __init__(self, settings: Settings, book: Book, place: Workplace) -> None:
        self.settings = settings
        self._place = place
        deadlines = Deadlines(asyncio.get_running_loop())
        ways = self._ways(settings, book, deadlines)
        self.service = Service(ways, self._journal(settings), deadlines, place.places)
        self._listeners: tuple[Listener, ...] = ()
        self._servers: list[asyncio.Server] = []
        self._later: Later | None = None

    async def listen(self) -> tuple[str, ...]:
        """Accept from every socket; returns the addresses.

        Raises:
            StoreError (a ValueError): the spool's database cannot be used.
        """
        loop = asyncio.get_running_loop()
        if self.settings.retrying:
            self._later = await _later(self.settings, self.service, self._place)
        self._listeners = self._open(self.settings)
        for number, sockets in enumerate(self._place.sockets):

            def client(number: int = number) -> ClientConnection:
                return ClientConnection(self.service, self._listeners[number], loop)

            self._servers += [
                await loop.create_server(client, sock=handle, backlog=BACKLOG)
                for sock in sockets
                for handle in acceptors(sock)
            ]
        if self._servers:
            self.service.pool.warm_up()
        return tuple(name_of(sock) for sockets in self._place.sockets for sock in sockets)

    def renew(self, settings: Settings, book: Book) -> None:
        """Take over new settings and a new book; listeners, log and workers stay as they are until a restart.

        But for their certificates: these are read again, for they are renewed every few weeks.

        Raises:
            OSError, ssl.SSLError: one cannot be used; nothing is taken over then.
        """
        listeners = self._open(settings)
        service, old = self.service, self.service.pool
        service.rules, service.pool, service.teller = self._ways(settings, book, service.deadlines)
        service.journal = self._journal(settings)
        self._listeners = listeners
        self.settings = settings
        service.pool.warm_up()
        old.close()
        if self._later is not None:
            self._later.renew(settings, service)
        memory.settle()

    async def stop(self) -> None:
        """Stop accepting, let the mail in flight finish within `timeouts.drain`, take leave of everybody."""
        self.service.draining = True
        for server in self._servers:
            server.close()
        if self._later is not None:
            self._later.take_no_more()
        for client in tuple(self.service.clients):
            client.drain()
        deadline = asyncio.get_running_loop().time() + self.settings.timeouts.drain
        while self.service.clients and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 -- only here
            await asyncio.sleep(0.02)
        for client in tuple(self.service.clients):
            client.cut()
        if self._later is not None:
            await self._later.close()
        self.service.pool.close()
        await self.service.pool.wait_closed()

    def _open(self, settings: Settings) -> tuple[Listener, ...]:
        opened = ((listener_of(each), settings.retry_mode(each)) for each in settings.listen)
        return tuple(self._later.door(each, mode) if self._later is not None else each for each, mode in opened)

    def _ways(self, settings: Settings, book: Book, deadlines: Deadlines) -> Ways:
        pool = Pool(server_of(settings), keeping_of(settings), deadlines)
        return Ways(rules_of(settings), pool, teller_of(settings, book))

    def _journal(self, settings: Settings) -> Journal:
        row = self._place.counters.row(self._place.row)
        return Journal(self._place.log, row, mask_addresses=settings.log.mask_addresses)


@dataclass(frozen=True, slots=True)
class Errand:
    """How `serve` speaks with whoever started it."""

    reload: Callable[[], Settings]
    reopen: Callable[[], None]  # the log
    ready: Callable[[tuple[str, ...]], None]


class _Renewals:
    """What SIGHUP does: reads settings and book again, and takes them over if they hold."""

    def __init__(self, relay: Relay, place: Workplace, errand: Errand) -> None:
        self._relay = relay
        self._begun = relay.settings
        self._place = place
        self._errand = errand
        self._loop = asyncio.get_running_loop()
        self._due: asyncio.TimerHandle | None = None
        self._last = -_RENEWAL_PAUSE_SECONDS

    def ask(self) -> None:
        """Renew now, or a while after the last time: many signals are one."""
        if self._due is None:
            self._due = self._loop.call_at(max(self._last + _RENEWAL_PAUSE_SECONDS, self._loop.time()), self._renew)

    def _renew(self) -> None:
        self._due = None
        place = self._place
        try:
            fresh = self._errand.reload()
            self._relay.renew(fresh.as_begun(self._begun), read_book(fresh))
        except Exception as error:  # noqa: BLE001 -- the old ones stay in force, whatever it is
            tell_refused(place.log, error)
        else:
            place.log.info("reloaded")
            waiting = fresh.until_restart(self._begun)
            if waiting and place.row == 0:
                place.log.warning("restart_needed", settings=waiting)
        self._last = self._loop.time()


async def serve(settings: Settings, book: Book, place: Workplace, errand: Errand) -> None:
    """Work until SIGTERM or SIGINT; SIGHUP reads settings and book again, and takes them over if they hold."""
    loop = asyncio.get_running_loop()
    relay = Relay(settings, book, place)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(RELOAD, _Renewals(relay, place, errand).ask)
    loop.add_signal_handler(REOPEN, errand.reopen)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)  # whoever begins this has blocked them: they wait till now
    if place.lifeline is not None:
        loop.add_reader(place.lifeline, stopped.set)
    async with AsyncExitStack() as office:
        if place.office and settings.web.listen is not None:
            await office.enter_async_context(_site(settings, relay, place))
        errand.ready(await relay.listen())
        await stopped.wait()
        loop.remove_signal_handler(signal.SIGINT)  # a second Ctrl-C does not wait for anybody
        if place.lifeline is not None:
            loop.remove_reader(place.lifeline)
        place.log.info("relay_stopping")
        await relay.stop()
        place.log.info("relay_stopped")


def tell_refused(log: Log, error: Exception) -> None:
    """New settings were not taken over; what nobody foresaw is told with its traceback. Called where it is handled."""
    if isinstance(error, SettingsError | BookError | ValueError | OSError):
        log.error("reload_refused", why=str(error))
    else:
        log.error("reload_refused", why=repr(error), exception=traceback.format_exc())


async def _later(settings: Settings, service: Service, place: Workplace) -> Later:
    from relay.later import open_later  # noqa: PLC0415 -- its libraries cost time and memory, and it is off by default

    return await open_later(settings, service, place.log, working=place.office)


def _site(settings: Settings, relay: Relay, place: Workplace) -> AbstractAsyncContextManager[None]:
    from relay.record.site import site  # noqa: PLC0415 -- its libraries cost time and memory, and few have it on

    return site(settings.web, place.counters, lambda: place.serves() and not relay.service.draining)
