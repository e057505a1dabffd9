"""Takes letters that are due out of the spool, delivers them, writes down what became of them."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from relay.retry.claims import Claims
from relay.retry.conclusion import Conclusion, conclude
from relay.retry.delivery import Said, deliver
from relay.retry.insist import insist
from relay.retry.letter import Kind, Letter, Recipient
from relay.retry.schedule import Breaker, Plan, is_over
from relay.retry.spool import Settlement, Spool
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.store import reason_of
from relay.upstream.carrier import Carrier
from relay.upstream.dial import dial
from relay.upstream.server import Login

if TYPE_CHECKING:
    from relay.deadlines import Deadlines
    from relay.record.journal import Journal
    from relay.retry.vault import Vault
    from relay.retry.writer import Writer
    from relay.upstream.connection import Connection
    from relay.upstream.pool import Pool

Work = Callable[[], Awaitable[None]]

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0  # between two looks into the spool
_TROUBLE_SECONDS = 5.0  # after the database has failed
_SWEEP_SECONDS = 600.0
_AHEAD = 4  # letters taken out for each connection, so that the next is at hand
_OVERDUE_AT_ONCE = 20
_STOP_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What the worker works with; a reload replaces it."""

    pool: Pool
    deadlines: Deadlines
    plan: Plan
    writer: Writer
    journal: Journal
    vault: Vault | None
    concurrency: int


class Worker:
    """One for each spool and process; any number may share a database."""

    def __init__(self, spool: Spool, tools: Tools, lease: float) -> None:
        self.tools = tools
        self._spool = spool
        self._lease = lease
        self._breaker = Breaker()
        self._claims = Claims(spool, lease)
        self._places = asyncio.Semaphore(tools.concurrency)
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop`; then let the letters under way arrive, and give back the others."""
        try:
            beside = (self._every(self._lease / 3, self._claims.prolong), self._every(_SWEEP_SECONDS, self._sweep))
            await asyncio.gather(self._every(_LOOK_SECONDS, self._take, self._wake), *beside)
            if unsent := await self._claims.end(_STOP_SECONDS):
                await self._guarded(lambda: self._spool.give_back(unsent))
        finally:
            self._ended.set()

    def renew(self, tools: Tools) -> None:
        """Work with other tools from now on."""
        old, self.tools = self.tools, tools
        self._places = asyncio.Semaphore(tools.concurrency)
        old.pool.close()

    def take_no_more(self) -> None:
        """Make `run` end: letters under way have some seconds to arrive."""
        self._stopping.set()
        self._wake.set()

    async def stop(self) -> None:
        """Make `run` end, and wait until it has."""
        self.take_no_more()
        await self._ended.wait()

    # -- taking letters out

    async def _take(self) -> None:
        now, limit = asyncio.get_running_loop().time(), self.tools.concurrency
        if len(self._claims) >= limit:
            return
        room = self._breaker.room(now, _AHEAD * limit - len(self._claims))
        if self._breaker.failures and self._claims:
            return
        letters = await self._spool.claim(room) if room else await self._spool.claim(1, urgent=True)
        if letters and not room:
            self._breaker = self._breaker._replace(closed_at=now)  # an operator wants it tried
        for letter in letters:
            if letter.id not in self._claims:  # our own lease ended while we are still at it: it is ours again
                self._start(letter)
        if not letters and not room:
            for letter in await self._spool.claim(_OVERDUE_AT_ONCE, older_than=self.tools.plan.max_age):
                await self._guarded(partial(self._give_up, letter))  # apart, lest one hinders the others

    async def _give_up(self, letter: Letter) -> None:
        """A letter is too old, and the upstream is not reached: what was said last is the end of it."""
        never = reply_for(Fault.UNREACHABLE, Phase.CONNECT, self.tools.pool.server.name)  # of one not tried yet
        said = {each.number: never if each.said.ok else each.said for each in letter.recipients}
        await self._settle(letter, said)

    def _start(self, letter: Letter) -> None:
        if letter.taken_over:
            self.tools.journal.spooled(
                "spool_taken_over", letter.id, letter.sender.address, _addresses(letter.recipients), None
            )
        self._claims.begin(letter.id, self._deliver(letter), self._wake.set)

    # -- delivering

    async def _deliver(self, letter: Letter) -> None:
        waits = self._places.locked()
        try:
            async with self._places:
                closed = self._stopping.is_set() or not self._breaker.room(asyncio.get_running_loop().time(), 1)
                if closed or (waits and not await self._spool.is_ours(letter.id)):
                    await self._spool.give_back([letter.id])
                else:
                    await self._try(letter)
        except (SQLAlchemyError, OSError) as error:  # the lease ends by itself, and the letter is tried again
            self._tell_trouble(error)
        except Exception:  # noqa: BLE001 -- one letter's trouble must not end the worker
            _log.exception("a bug while a letter of the spool was delivered")
            await self._guarded(lambda: self._spool.give_back([letter.id], wait=self.tools.plan.longest))

    async def _try(self, letter: Letter) -> None:
        said = {each.number: each.said for each in letter.recipients}
        for new in (False, True):  # a kept connection that turns out to be dead is replaced by a new one, once
            found = await self._connection(letter, new=new)
            if isinstance(found, Reply):
                await self._not_reached(letter, found)
                return
            self._breaker = Breaker()
            said = await self._carried(Carrier(found), letter)
            if not found.rested or not any(reply.fault is Fault.DISCONNECTED for reply in said.values()):
                break
        await self._settle(letter, said)

    async def _carried(self, carrier: Carrier, letter: Letter) -> Said:
        connection = carrier.connection
        try:
            said = await deliver(
                carrier, letter, self._spool.octets(letter), partial(self._claims.before_dot, letter.id)
            )
        except BaseException:
            connection.abort()  # in the middle of a message: its end must never come
            raise
        carrier.leave()
        if connection.private or connection.dead or any(not reply.ok for reply in said.values()):
            connection.quit()  # what is left there of a mail that was refused is no business of the next one
        else:
            self.tools.pool.give_back(connection)
        return said

    async def _connection(self, letter: Letter, *, new: bool) -> Connection | Reply:
        pool = self.tools.pool
        if letter.login is None:
            return await pool.open(new=new)
        credentials = self.tools.vault.unlock(letter.login) if self.tools.vault is not None else None
        if credentials is None:
            why = "the key that the login was encrypted with is not that of retry.spool.key"
            return reply_for(Fault.SPOOL_LOGIN, Phase.CONNECT, detail=why)
        mechanism, user, password = credentials
        found = await dial(replace(pool.server, login=Login(user, password, mechanism)), self.tools.deadlines)
        if not isinstance(found, Reply):
            found.private = True
        return found

    async def _not_reached(self, letter: Letter, reply: Reply) -> None:
        """No connection: nobody's fault among the letters, unless it is the login of this one that was refused."""
        if letter.login is not None and (reply.phase is Phase.AUTH or reply.fault is Fault.SPOOL_LOGIN):
            await self._settle(letter, {each.number: reply for each in letter.recipients})
            return
        now = asyncio.get_running_loop().time()
        if self._breaker.room(now, 1):  # of several that find out together, one counts
            self._breaker = self._breaker.failed(now, self.tools.plan, random.random())  # noqa: S311 -- no secret
            self.tools.journal.spooled("spool_unreachable", letter.id, letter.sender.address, (), reply)
        if is_over(self.tools.plan, letter.age):
            await self._settle(letter, {each.number: reply for each in letter.recipients})
        else:
            await self._spool.give_back([letter.id])

    # -- writing down

    async def _settle(self, letter: Letter, said: Said) -> None:
        tools = self.tools
        end = conclude(letter, said, tools.plan, random.random())  # noqa: S311 -- no secret
        try:
            own = await self._own_letters(letter, end)
        except (SQLAlchemyError, OSError):
            raise
        except Exception:  # noqa: BLE001 -- what was delivered must be written down, whatever became of the bounce
            _log.exception("a bug while a bounce was written: who failed stays in the spool")
            own, end = [], end._replace(stuck=bool(end.failed))
        remaining = {each.number for each in end.remaining}
        result = Settlement(
            delivered=tuple(each.number for each in end.delivered),
            given_up=tuple(each.number for each in end.failed if each.number not in remaining),
            remaining=end.remaining,
            wait=end.wait,
            stuck=end.stuck,
            own=tuple(own),
        )
        await self._written_down(letter, result)
        self._tell(letter, end)
        if own:
            self._wake.set()

    async def _own_letters(self, letter: Letter, end: Conclusion) -> list[tuple[Letter, bytes]]:
        wanted = [(kind, who) for kind, who in ((Kind.BOUNCE, end.bounce_to), (Kind.NOTICE, end.notice_to)) if who]
        return [await self._own_letter(kind, letter, who) for kind, who in wanted]

    async def _own_letter(self, kind: Kind, letter: Letter, about: tuple[Recipient, ...]) -> tuple[Letter, bytes]:
        write = partial(self.tools.writer.write, kind, letter, about, self._spool)
        try:
            return await write()
        except (SQLAlchemyError, OSError):
            raise
        except Exception:  # noqa: BLE001 -- strangers wrote what it quotes
            _log.exception("a bug while a letter was quoted: its sender hears of it without the quotation")
            return await write(bare=True)

    async def _written_down(self, letter: Letter, result: Settlement) -> None:
        """Insist: what was delivered and is not written down will be delivered again, but not while we are at it."""
        await insist(lambda: self._spool.settle(letter, result), self._tell_trouble, endless=True)

    def _tell(self, letter: Letter, end: Conclusion) -> None:
        events = [("spool_delivered", end.delivered), ("spool_failed", end.failed), ("spool_later", end.later)]
        if end.unknown:
            events.append(("spool_outcome_unknown", end.later))
        if end.stuck:
            events.append(("spool_stuck", end.failed))
        sender = letter.sender.address
        for event, recipients in events:
            if recipients:
                self.tools.journal.spooled(event, letter.id, sender, _addresses(recipients), recipients[0].said)

    # -- beside it

    async def _sweep(self) -> None:
        await self._spool.sweep()

    async def _every(self, seconds: float, work: Work, sooner: asyncio.Event | None = None) -> None:
        """Do it again and again: after a pause, or as soon as `sooner` is set."""
        awaited = sooner or self._stopping
        while not self._stopping.is_set():
            awaited.clear()
            pause = await self._guarded(work) or seconds
            with suppress(TimeoutError):
                await asyncio.wait_for(awaited.wait(), pause)

    async def _guarded(self, work: Work) -> float | None:
        """Do it; where that fails, say so, and how long to wait."""
        try:
            await work()
        except (SQLAlchemyError, OSError) as error:
            self._tell_trouble(error)
        except Exception:  # noqa: BLE001 -- the worker must outlive whatever it is
            _log.exception("a bug in the worker of the spool")
        else:
            return None
        return _TROUBLE_SECONDS

    def _tell_trouble(self, error: Exception) -> None:
        _log.error("the worker of the spool is held up: %s", reason_of(error))


def _addresses(recipients: tuple[Recipient, ...]) -> tuple[str, ...]:
    return tuple(each.path.address for each in recipients)
