"""What all conversations share: the rules, the way to the upstream, the book, the journal, the counts."""

from __future__ import annotations

import asyncio
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from relay.explain.failure import Failure
from relay.explain.render import render
from relay.networks import Network, home, is_loopback, within
from relay.proxy.transaction import Transaction
from relay.record.counters import CLIENTS, CONNECTIONS
from relay.record.journal import Occasion, Passed
from relay.smtp import Fault, Reply

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine

    from relay.deadlines import Deadlines
    from relay.explain.book import Book
    from relay.proxy.places import Places
    from relay.proxy.server import ClientConnection
    from relay.proxy.session import Session
    from relay.record.journal import Journal
    from relay.smtp.command import Path
    from relay.upstream.pool import Pool
    from relay.upstream.server import Server

_TOLD_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's choices that a conversation obeys; sizes in octets, times in seconds."""

    hostname: str
    message_size: int | None = None
    connections: int = 1000
    room: float = math.inf  # clients of this process; those beyond it the system would cut off without a word
    connections_per_address: int = 50
    recipients: int = 1000
    errors: int = 20
    login_failures: int = 10
    command_line: int = 2048
    auth_line: int = 12288
    data_rate: int = 500
    client_idle: float = 300.0
    client_data: float = 180.0
    client_tls: float = 15.0
    proxy_header: float = 5.0
    normalize_newlines: bool = False
    explain_login_at_mail: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """One door of the relay: who may come in, and how."""

    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    tls_required: bool = False
    networks: tuple[Network, ...] = ()  # empty: any (a listener on loopback)
    login: bool = False  # clients outside the networks are served once they have logged in
    users: frozenset[str] = frozenset()  # if not empty, only these
    proxies: tuple[Network, ...] = ()  # peers that begin with a PROXY header
    transaction: Callable[[Session, Path], Transaction] = Transaction  # how its mail is passed on
    keep_logins: bool = False  # whether a mail that is kept may need its client's login
    chunking: bool = True  # whether BDAT is passed on (RFC 3030)

    def admits(self, address: str) -> bool:
        """Whether a client from this address may talk at all."""
        return self.login or self.trusts(address)

    def trusts(self, address: str) -> bool:
        """Whether a client from this address may send without a login (which the upstream may still demand)."""
        return not (self.networks or self.login) or within(address, self.networks)


@dataclass(frozen=True, slots=True)
class Teller:
    """Who puts refusals into words: the book, and the form of the reply."""

    book: Book
    style: str


class Ways(NamedTuple):
    """What a reload replaces: how conversations go. Mails on their way keep what they have."""

    rules: Rules
    pool: Pool
    teller: Teller


class Service:
    """The shared part of all conversations."""

    def __init__(self, ways: Ways, journal: Journal, deadlines: Deadlines, places: Places) -> None:
        self.rules, self.pool, self.teller = ways
        self.journal = journal
        self.deadlines = deadlines
        self.draining = False
        self.clients: set[ClientConnection] = set()
        self.turned_away: set[ClientConnection] = set()  # those of them that are being told so
        self._places = places
        self._tasks: set[asyncio.Task[None]] = set()

    def admit(self, address: str) -> Fault | None:
        """Count a new client in, which needs a `leave`; or the Fault it must be turned away with: it takes no place."""
        self._places.enter(home(address))
        self.count_clients()
        self.journal.counters.add(CONNECTIONS)
        fault = self._unwelcome(address)
        if fault is not None:
            self._places.leave(home(address))
        return fault

    def may_be_told(self, client: ClientConnection, fault: Fault) -> bool:
        """Whether a client that must be turned away hears why, though that takes long.

        Those who are being told take no places from others, so they have a bound of their own.
        """
        if len(self.turned_away) >= _TOLD_AT_ONCE:
            self.journal.counters.fault(fault)
            return False
        self.turned_away.add(client)
        return True

    def leave(self, address: str) -> None:
        """Count a client out."""
        self._places.leave(home(address))
        self.count_clients()

    def spawn(self, work: Coroutine[Any, Any, None], on_bug: Callable[[], None]) -> None:
        """Run what must be awaited, and hold on to it; `on_bug` runs while its exception is handled."""
        task = asyncio.get_running_loop().create_task(_guarded(work, on_bug))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def explained(self, session: Session, reply: Reply, recipient: str | None) -> bytes:
        """A refusal in words a person can act on, for the client; the journal keeps it under its reference."""
        failure = self._failure(session, reply, recipient)
        explanation = self.teller.book.explain(failure)
        occasion = self._occasion(session, new_reference())
        self.journal.failure(explanation, occasion, session.transaction.accepted if session.transaction else ())
        return render(explanation, style=self.teller.style, ref=occasion.ref, utf8=failure.utf8)

    def passed(self, session: Session, transaction: Transaction, reply: Reply) -> None:
        """Remember a message that the upstream has taken."""
        connection = transaction.connection
        message = Passed(
            upstream=transaction.server.host,
            words=reply.text,
            sender=transaction.sender.address,
            recipients=tuple(transaction.accepted),
            size=transaction.size,
            tls=connection is not None and connection.secure,
            login=_logged_in(session, transaction.server),
            user=session.user,
        )
        self.journal.passed(message, self._occasion(session, ""))

    def count_clients(self) -> None:
        """Tell how many are connected, whether or not they have been let in."""
        self.journal.counters.set(CLIENTS, len(self.clients))

    def _unwelcome(self, address: str) -> Fault | None:
        if self.draining:
            return Fault.SHUTTING_DOWN
        here = len(self.clients) - len(self.turned_away)
        if self._places.taken() > self.rules.connections or here > self.rules.room:
            return Fault.TOO_MANY_CONNECTIONS
        if self._places.taken_by(home(address)) > self.rules.connections_per_address and not is_loopback(address):
            return Fault.TOO_MANY_CONNECTIONS_ADDRESS
        return None

    def _failure(self, session: Session, reply: Reply, recipient: str | None) -> Failure:
        transaction, server = session.transaction, session.server
        login, own = _logged_in(session, server), server.login is not None
        if transaction is None:
            return Failure(reply, upstream=server.host, login=login, own_login=own, user=session.user)
        connection = transaction.connection
        return Failure(
            reply,
            upstream=server.host,
            sender=transaction.sender.address,
            recipient=recipient,
            recipients=transaction.named,
            login=login,
            own_login=own,
            user=session.user,
            tls=connection.secure if connection is not None else None,
            size=transaction.size,
            size_limit=connection.capabilities.size_limit if connection is not None else None,
            eight_bit=transaction.sender.eight_bit,
            utf8=transaction.sender.utf8,
            tries=transaction.tries,
            tried_seconds=transaction.tried_seconds,
        )

    def _occasion(self, session: Session, ref: str) -> Occasion:
        started = session.transaction.started if session.transaction is not None else session.started
        return Occasion(ref, session.client.address, session.client.loop.time() - started)


def _logged_in(session: Session, server: Server) -> bool:
    return session.login.done or server.login is not None


async def _guarded(work: Coroutine[Any, Any, None], on_bug: Callable[[], None]) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001 -- whatever it is, the client that waits for this must not wait for ever
        on_bug()


_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: none is mistaken for another when read aloud


def new_reference() -> str:
    """Six letters and digits under which the log knows a refusal."""
    number = int.from_bytes(os.urandom(4), "big")
    return "".join(_LETTERS[number >> shift & 31] for shift in range(0, 30, 5))
