"""The way into the spool, as a conversation sees it: whether something may be kept, and its promise in writing."""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from relay.retry.insist import insist
from relay.retry.schedule import next_pause
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.store import reason_of

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path as FilePath

    from relay.proxy.login import Login
    from relay.record.log import Log
    from relay.retry.letter import Letter, State
    from relay.retry.schedule import Plan
    from relay.retry.spool import Body, Spool
    from relay.retry.vault import Vault

_DOWN_SECONDS = 1.0
_USAGE_SECONDS = 1.0  # counting all letters for each mail would cost more than the mail


@dataclass(frozen=True, slots=True)
class Terms:
    """What the spool takes at most, and how.

    `disk` is the file whose file system must keep `free_disk` octets free. `vault` None: mail under a client's own
    login is not kept.
    """

    messages: int
    octets: int
    free_disk: int
    disk: FilePath | None
    plan: Plan
    vault: Vault | None


class Intake:
    """Takes letters in, on the operator's terms; a reload replaces them."""

    def __init__(self, spool: Spool, terms: Terms, log: Log) -> None:
        self._spool = spool
        self.terms = terms
        self._log = log
        self._down: tuple[float, Reply] | None = None
        self._used = (0, 0)
        self._counted = float("-inf")

    def known_down(self) -> Reply | None:
        """How the upstream was found out of reach a moment ago; None: ask it. Not every mail need find that out."""
        return self._down[1] if self._down is not None and time.monotonic() < self._down[0] else None

    def note(self, reply: Reply) -> None:
        """Remember for a moment that the upstream cannot be reached, if this reply says so."""
        if reply.fault is not None and reply.phase in (Phase.CONNECT, Phase.EHLO, Phase.STARTTLS):
            self._down = (time.monotonic() + _DOWN_SECONDS, reply)

    async def refusal(self, why: Reply, login: Login, size: int) -> Reply | None:
        """Why a mail cannot be kept although it failed for now (`why`); None if it can."""
        if login.done and (self.terms.vault is None or login.credentials is None):
            told = reply_for(Fault.SPOOL_LOGIN, why.phase, detail=f"the mail server said {why.code} {why.text}")
            return told._replace(code=why.code) if why.fault is None and why.code != 421 else told
        try:
            room = await self._has_room(size)
        except (SQLAlchemyError, OSError) as error:
            return self._failed(error)
        return None if room else reply_for(Fault.SPOOL_FULL, why.phase)

    async def add(self, letter: Letter, body: Body, login: Login, *, state: State) -> Reply | None:
        """Take a letter in; None when it is on the disk, else why it is not."""
        if login.done and login.credentials is not None and self.terms.vault is not None:
            letter = letter._replace(login=self.terms.vault.lock(login.credentials))
        said = tuple(recipient.said for recipient in letter.recipients)
        wait = next_pause(self.terms.plan, 0, said, random.random())  # noqa: S311 -- no secret
        failure = await self._written(self._spool.add(letter, body, state=state, wait=wait))
        self._used = (self._used[0] + 1, self._used[1] + body.size)
        return failure

    async def promise(self, letter_id: str) -> Reply | None:
        """Somebody is about to be told 250 for a pending letter; None when that is on the disk.

        Others have the mail already, and would get it again if the client had to send it again: so we insist.
        """
        return await self._written(insist(lambda: self._spool.promise(letter_id), self._tell))

    async def drop(self, letter_id: str) -> None:
        """Nobody is told 250 for this letter. Where even that fails, a pending one is swept away later."""
        await self._written(self._spool.drop(letter_id))

    async def _written(self, writing: Awaitable[None]) -> Reply | None:
        try:
            await writing
        except (SQLAlchemyError, OSError) as error:
            return self._failed(error)
        return None

    def _tell(self, error: Exception) -> None:
        self._log.error("spool_not_written", why=reason_of(error))

    def _failed(self, error: Exception) -> Reply:
        self._tell(error)
        why = reason_of(error)
        full = "disk is full" in why or "No space left" in why
        return reply_for(Fault.SPOOL_FULL if full else Fault.SPOOL_FAILED, Phase.MESSAGE)

    async def _has_room(self, size: int) -> bool:
        terms = self.terms
        if time.monotonic() - self._counted > _USAGE_SECONDS:
            self._counted = time.monotonic()
            self._used = await self._spool.usage()
        messages, octets = self._used
        if messages >= terms.messages or octets + size > terms.octets:
            return False
        return terms.disk is None or shutil.disk_usage(terms.disk.absolute().parent).free - size > terms.free_disk
