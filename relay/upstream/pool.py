"""Connections to the upstream that are kept open between messages, so that a mail need not wait for a handshake."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from relay.deadlines import NEVER
from relay.smtp import Phase, Reply
from relay.upstream.dial import dial

if TYPE_CHECKING:
    from relay.deadlines import Deadlines
    from relay.smtp.capabilities import Capabilities
    from relay.upstream.connection import Connection
    from relay.upstream.server import Server


_MAX_REFUSALS = 5  # Postfix begins to slow a session down at 10 (smtpd_soft_error_limit)
_WARM_PAUSE_SECONDS = 30.0  # an upstream that closes what was opened ahead is not asked over and over
_LOGIN_REFUSED_SECONDS = 5.0  # as long as a refusal of the relay's own login stands: each try more brings a lock nearer


class Keeping(NamedTuple):
    """How many idle connections are kept, for how many seconds each, how many messages one may carry.

    `warm` of them are opened ahead, before a client needs them.
    """

    idle: int
    idle_seconds: float
    messages: int
    warm: int = 0


class Pool:
    """All connections to one upstream. One that carried a client's login is never put back for another client."""

    def __init__(self, server: Server, keeping: Keeping, deadlines: Deadlines) -> None:
        self.server = server
        self.last_seen: Capabilities | None = None  # what the upstream offered when it was last reached
        self.last_secure = False
        self._keeping = keeping
        self._deadlines = deadlines
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._looking: asyncio.Task[Reply | None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self._warm_again: asyncio.TimerHandle | None = None
        self._warmed = -_WARM_PAUSE_SECONDS  # when that was begun last
        self._closed = False
        self._login_refused: tuple[float, Reply] | None = None  # since when, and how

    def take(self) -> Connection | None:
        """A kept connection that is fit for a new transaction, the youngest first; None if there is none.

        What came for it in this round of the loop may be unread yet; its owner hears that before the next `flush`.
        """
        while self._idle:
            connection = self._idle.pop()
            if connection.usable():
                connection.deadline = NEVER
                connection.rested = True
                self.warm_up()
                return connection
            connection.abort()
        return None

    async def open(self, *, new: bool = False) -> Connection | Reply:
        """A connection for a transaction: kept, being dialled already for somebody's EHLO, or new.

        `new`: in any case, for a kept one has turned out to be dead.
        """
        kept = None if new else self._take_silent()
        if kept is None and self._looking is not None and not new:
            refusal = await asyncio.shield(self._looking)
            if refusal is not None:
                return refusal
            kept = self._take_silent()
        return kept or await self._dial()

    def _take_silent(self) -> Connection | None:
        """As `take`, for a user that speaks at once."""
        while (kept := self.take()) is not None and not kept.silent():
            kept.abort()
        return kept

    def offered(self) -> Capabilities | None:
        """What a kept connection offers; None if none is kept: then `look`."""
        while self._idle:
            if self._idle[-1].usable():
                return self._idle[-1].capabilities
            self._idle[-1].abort()  # it leaves the list by itself
        return None

    async def look(self, seconds: float) -> Capabilities | None:
        """What the upstream offers now; after `seconds` without an answer, what it offered last (None: never reached).

        Any number of clients that greet at once cause one connection; it is kept for the first that has mail.
        """
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="upstream look")
        await asyncio.wait({self._looking}, timeout=seconds) if self._looking else None
        return self.last_seen

    def give_back(self, connection: Connection) -> None:
        """Keep the connection for the next transaction, or take leave of it."""
        connection.owner = None
        full = len(self._idle) >= self._keeping.idle
        most = min(self._keeping.messages, connection.capabilities.most_mails or self._keeping.messages)
        worn = connection.messages >= most or connection.refusals >= _MAX_REFUSALS
        foreign = connection.server is not self.server  # opened before a reload: it leads to another upstream
        if full or worn or foreign or self._closed or connection.private:
            connection.quit()
        elif not connection.dead:
            connection.deadline = self._deadlines.now() + self._keeping.idle_seconds
            self._idle.append(connection)

    def warm_up(self) -> None:
        """Open as many ahead as the operator wishes, unless that is being done already."""
        if len(self._idle) < self._keeping.warm and self._warming is None and not self._closed:
            self._warmed = self._deadlines.now()
            self._warming = asyncio.get_running_loop().create_task(self._warm_up(), name="upstream warm-up")

    def close(self) -> None:
        """Take leave of the idle ones now, and of the others when they are given back."""
        self._closed = True
        for connection in tuple(self._idle):  # each leaves the list when it says QUIT
            connection.quit()
        if self._warming is not None:  # `_looking` goes on: clients wait for it
            self._warming.cancel()
        if self._warm_again is not None:
            self._warm_again.cancel()

    async def wait_closed(self) -> None:
        """Wait, briefly, until the upstream has taken its leave too."""
        for _ in range(20):
            if not self._all:
                return
            await asyncio.sleep(0.05)
        for connection in tuple(self._all):
            connection.abort()

    async def _look(self) -> Reply | None:
        try:
            found = await self._dial()
            if isinstance(found, Reply):
                return found
            self.give_back(found)
            return None
        finally:
            self._looking = None

    async def _warm_up(self) -> None:
        try:
            while len(self._idle) < self._keeping.warm:
                found = await self._dial()
                if isinstance(found, Reply):  # the first mail will say so; the next one taken tries again
                    return
                self.give_back(found)
        finally:
            self._warming = None

    async def _dial(self) -> Connection | Reply:
        if self._login_refused is not None and self._deadlines.now() < self._login_refused[0] + _LOGIN_REFUSED_SECONDS:
            return self._login_refused[1]
        found = await dial(self.server, self._deadlines)
        if isinstance(found, Reply):
            if found.phase is Phase.AUTH and found.permanent:
                self._login_refused = self._deadlines.now(), found
            return found
        if found.dead:  # a farewell came with the last reply
            return found.why_dead(Phase.CONNECT)
        self._all.add(found)
        found.on_gone = self._gone
        self.last_seen, self.last_secure = found.capabilities, found.secure
        return found

    def _gone(self, connection: Connection) -> None:
        if connection.dead:
            self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
            self._warm_up_after_a_while()

    def _warm_up_after_a_while(self) -> None:
        if not self._keeping.warm or self._warm_again is not None or self._closed:
            return
        pause = max(self._warmed + _WARM_PAUSE_SECONDS - self._deadlines.now(), 0.0)
        self._warm_again = asyncio.get_running_loop().call_later(pause, self._warm_up_again)

    def _warm_up_again(self) -> None:
        self._warm_again = None
        self.warm_up()
