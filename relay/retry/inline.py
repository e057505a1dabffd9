"""Trying again while the client waits: any command that failed for now, within a budget of seconds for one mail."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from relay.retry.patient import PatientTransaction
from relay.retry.schedule import hint, may_succeed_soon, pause
from relay.smtp import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from relay.proxy.session import Session
    from relay.smtp import Reply
    from relay.smtp.command import Path


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, in seconds, one mail may take longer by further tries; the first pause; octets of a copy in memory."""

    budget: float
    first: float
    memory: int


class InlineTransaction(PatientTransaction):
    """Repeats what failed for now. The client hears the last reply, and how often and how long it was tried."""

    def __init__(self, patience: Patience, session: Session, sender: Path) -> None:
        super().__init__(session, sender, patience.memory)
        self._patience = patience
        self._left_over = patience.budget
        self._limit: asyncio.Timeout | None = None  # of a further try

    async def mail(self) -> Reply:
        """MAIL; connecting included."""
        return await self._tried(super().mail)

    async def rcpt(self, path: Path) -> Reply:
        """RCPT, for one recipient."""
        return await self._tried(partial(super().rcpt, path))

    async def agree(self) -> Reply:
        """DATA."""
        if self.body is not None:  # a part of sending the whole again, which is repeated as a whole
            return await super().agree()
        return await self._tried(super().agree)

    async def verdict(self, last: bytes) -> Reply:
        """The final dot; a clear 4xx, or a connection lost before it, sends the whole again."""
        return await self._tried(partial(super().verdict, last), self.send_again)

    def before_dot(self) -> None:
        """No time ends what a final dot may have begun: the message would perhaps be sent twice."""
        if self._limit is not None:
            self._limit.reschedule(None)

    async def _tried(
        self, first: Callable[[], Awaitable[Reply]], again: Callable[[], Awaitable[Reply]] | None = None
    ) -> Reply:
        self.tries, self.tried_seconds = 1, 0.0
        reply = await first()
        started = self.client.loop.time()
        while (seconds := self._pause(reply)) is not None and not await self._client_left_within(seconds):
            last, reply = reply, await self._within_budget(again or first, reply)
            if reply is last:
                break
            self.tries += 1
            self.tried_seconds = self.client.loop.time() - started
        self._left_over -= self.client.loop.time() - started
        return reply

    def _pause(self, reply: Reply) -> float | None:
        """Seconds until the next try; None if there is none."""
        if not may_succeed_soon(reply) or (self.body is not None and self.copy.broken):
            return None
        seconds = pause(self.tries - 1, self._patience.first, random.random())  # noqa: S311 -- no secret
        seconds = max(hint(reply) or 0.0, seconds)  # "in 0 seconds" is no leave to ask without end
        return seconds if seconds < self._left_over - self.tried_seconds else None

    async def _client_left_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.left.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _within_budget(self, again: Callable[[], Awaitable[Reply]], last: Reply) -> Reply:
        """Another try; one that outlasts the budget is given up, unless a final dot may be on its way.

        Where the connection of the client's login has ended, there can be none, and the `last` reply stands.
        """
        try:
            async with asyncio.timeout(max(1.0, self._left_over - self.tried_seconds)) as limit:
                self._limit = limit
                reply = await again()
        except TimeoutError:
            self.give_up_session()
            return last
        return last if reply.fault is Fault.LOGIN_LOST else reply
