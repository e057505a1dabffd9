"""The relay of the fuzzed dialogue, in this process and in hand-moved time, and both of its ends."""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

from fuzz_client import Client
from fuzz_clock import HandLoop
from fuzz_upstream import Record, Said, UpstreamEnd
from fuzz_verdict import MAX_ERRORS, MAX_OCTETS, MAX_RECIPIENTS

from relay.config.url import Security
from relay.deadlines import Deadlines
from relay.explain import Book, shipped_chapters
from relay.proxy.places import OwnPlaces
from relay.proxy.server import ClientConnection
from relay.proxy.service import Listener, Rules, Service, Teller, Ways
from relay.record.counters import Counters
from relay.record.journal import Journal
from relay.record.log import NoLog
from relay.smtp import Phase
from relay.upstream.pool import Keeping, Pool
from relay.upstream.server import Server, Waits

if TYPE_CHECKING:
    from relay.networks import Network

REPLY_SECONDS = 60.0
PATIENCE_SECONDS = 1000.0  # by then everything must be answered, and every client dismissed
_ROUNDS = 40
_OFFERS = (b"PIPELINING", b"CHUNKING", b"8BITMIME", b"SMTPUTF8", b"AUTH PLAIN LOGIN")


@cache
def book() -> Book:
    """The shipped book."""
    return Book.read(shipped_chapters())


class World:
    """Everything that takes part in one dialogue."""

    def __init__(self, *, normalize: bool = False) -> None:
        self.record = Record()
        self.loop = HandLoop(self._dialled)
        self.clients: list[Client] = []
        self.upstreams: list[UpstreamEnd] = []
        self.outcomes: list[str] = []  # of the next attempts to connect; after them they succeed
        self.elapsed = 0.0
        self._normalize = normalize
        self._numbers = count(1)
        self._errors = _Errors()
        logging.getLogger("relay").addHandler(self._errors)
        self.service, self._pool = self._relay()

    def _relay(self) -> tuple[Service, Pool]:
        deadlines = Deadlines(self.loop)
        waits = Waits(connect=30.0, tls=10.0, replies=dict.fromkeys(Phase, REPLY_SECONDS))
        server = Server("127.0.0.1", 25, Security.PLAIN, waits, ehlo_name="relay.test")
        rules = Rules(
            hostname="relay.test",
            message_size=MAX_OCTETS,
            recipients=MAX_RECIPIENTS,
            errors=MAX_ERRORS,
            normalize_newlines=self._normalize,
        )
        pool = Pool(server, Keeping(idle=2, idle_seconds=30.0, messages=4), deadlines)
        journal = Journal(NoLog(), Counters().row(0))
        return Service(Ways(rules, pool, Teller(book(), "full")), journal, deadlines, OwnPlaces()), pool

    def _dialled(self, far: socket.socket) -> str:
        outcome = self.outcomes.pop(0) if self.outcomes else ""
        if outcome:
            far.close()
            self.record.troubles += 1
        else:
            self.upstreams.append(UpstreamEnd(far, self.record))
        return outcome

    # -- what may happen

    def connect(self) -> Client:
        """One more client."""
        near, far = socket.socketpair()
        made = ClientConnection(self.service, Listener(), self.loop)
        self.loop.run_until_complete(self.loop.connect_accepted_socket(lambda: made, near))
        made.address = "127.0.0.1"  # from there a login is taken
        self.clients.append(Client(far, self.record, normalize=self._normalize))
        return self.clients[-1]

    def connect_behind(self, proxy: Network) -> socket.socket:
        """One more client, of a relay that waits for a PROXY header from it."""
        near, far = socket.socketpair()
        far.setblocking(False)
        made = _Proxied(self.service, Listener(proxies=(proxy,)), self.loop)
        self.loop.run_until_complete(self.loop.connect_accepted_socket(lambda: made, near))
        return far

    def number(self) -> int:
        """A number that nobody else has."""
        return next(self._numbers)

    def settle(self) -> None:
        """Let everything happen that is due, and look at it."""
        self.loop.advance()
        self._look()
        self.record.settled = self.record.troubles

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.settle()
        self.elapsed += seconds
        for client in self.clients:
            client.talk.waited = client.talk.waited or self.elapsed >= 28.0
        self.loop.advance(seconds)
        self.settle()
        if seconds >= PATIENCE_SECONDS:
            for client in self.clients:
                assert client.closed or client.gone, f"{client.waiting} was not answered for {seconds:g} seconds"

    def good(self, key: tuple[str, bytes]) -> Said:
        """What a friendly upstream answers."""
        verb = key[0]
        number = self.number()
        if verb == "EHLO":
            lines = (b"250-upstream.test %d\r\n" % number, *(b"250-" + word + b"\r\n" for word in _OFFERS))
            return Said(250, b"".join(lines) + b"250 SIZE 1000000\r\n")
        code = {"DATA": 354, "CONNECT": 220, "AUTH": 235, "QUIT": 221}.get(verb, 250)
        return Said(code, b"%d said-%d\r\n" % (code, number))

    def answer_all(self) -> None:
        """The upstream accepts all that was asked, until nothing is left to answer."""
        for _ in range(_ROUNDS):
            self.settle()
            owing = [upstream for upstream in self.upstreams if upstream.owed]
            if not owing:
                return
            for upstream in owing:
                upstream.answer(self.good(upstream.owed[0]))

    # -- what must hold

    def _look(self) -> None:
        for upstream in self.upstreams:
            upstream.hear()
        for client in self.clients:
            client.hear()
        assert self.loop.troubles == []
        assert self._errors.told == []
        self._look_at_messages()
        if not (self.loop.dialling or any(upstream.owed or upstream.half for upstream in self.upstreams)):
            for client in self.clients:
                assert client.closed or client.gone or not client.waiting, f"{client.waiting} is not answered"

    def _look_at_messages(self) -> None:
        sent: dict[bytes, bytes] = {}
        for client in self.clients:
            sent |= client.sent
        for mail, delivered in self.record.delivered.items():
            assert len(delivered) == 1, f"{mail!r} came {len(delivered)} times"
            assert sent.get(mail) == delivered[0].text, f"{delivered[0]} was never sent; {sent.get(mail)!r} was"

    def end(self) -> None:
        """Everybody leaves; nothing may be left in the relay."""
        try:
            for client in self.clients:
                client.vanish()
            for upstream in self.upstreams:
                upstream.close()
            self.loop.advance(2 * REPLY_SECONDS)
            self._pool.close()
            self.loop.advance(10.0)
            assert not self.service.clients
            assert not asyncio.all_tasks(self.loop)
            assert (self.loop.troubles, self._errors.told) == ([], [])
        finally:
            logging.getLogger("relay").removeHandler(self._errors)
            self.loop.close()
            for end in (*self.clients, *self.upstreams):
                end.sock.close()


class _Proxied(ClientConnection):
    """A client that comes from the address of the load balancer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport._extra["peername"] = ("127.0.0.1", 1)  # a pair of sockets has no address
        super().connection_made(transport)


class _Errors(logging.Handler):
    """Bugs that the relay has caught and logged."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(logging.Formatter().format(record))
