"""From the operator's words to the parts that try again; loaded only where `retry.mode` is not off."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from relay.config.retry import KeepLogins, RetryMode
from relay.parts import keeping_of, server_of
from relay.retry.inline import InlineTransaction, Patience
from relay.upstream.pool import Pool

if TYPE_CHECKING:
    from relay.config import Settings
    from relay.proxy.service import Listener, Service
    from relay.record.log import Log
    from relay.retry.intake import Intake, Terms
    from relay.retry.schedule import Plan
    from relay.retry.vault import Vault
    from relay.retry.worker import Tools, Worker
    from relay.store import Store


@dataclass(frozen=True, slots=True)
class Office:
    """The spool of one process: its database, the way into it, and (in one process of several) the way out."""

    store: Store
    vault: Vault | None
    intake: Intake
    worker: Worker | None
    working: asyncio.Task[None] | None


class Later:
    """How mail is passed on where it may be tried again."""

    def __init__(self, settings: Settings, office: Office | None) -> None:
        inline, self._memory = settings.retry.inline, settings.retry.memory
        self._patience = Patience(inline.budget, inline.first, self._memory)
        self._office = office

    def door(self, listener: Listener, mode: RetryMode) -> Listener:
        """A listener whose mail is passed on in this mode."""
        if mode is RetryMode.INLINE:
            return replace(listener, transaction=partial(InlineTransaction, self._patience), chunking=False)
        if mode is RetryMode.SPOOL and self._office is not None:
            from relay.retry.deferring import DeferringTransaction  # noqa: PLC0415 -- it needs the database's library

            transaction = partial(DeferringTransaction, self._office.intake, self._memory)
            return replace(
                listener, transaction=transaction, chunking=False, keep_logins=self._office.vault is not None
            )
        return listener

    def renew(self, settings: Settings, service: Service) -> None:
        """Take over a new upstream, a new book, new times and limits; the rest changes only with a restart."""
        office = self._office
        if office is None:
            return
        office.intake.terms = _terms(settings, office.vault)
        if office.worker is not None:
            office.worker.renew(_tools(settings, service, office.vault))

    def take_no_more(self) -> None:
        """Take no more letters out; those under way have some seconds to arrive."""
        if self._office is not None and self._office.worker is not None:
            self._office.worker.take_no_more()

    async def close(self) -> None:
        """Let letters under way arrive, then let go of the database."""
        office = self._office
        if office is None:
            return
        if office.worker is not None and office.working is not None:
            await office.worker.stop()
            await office.working  # if it failed, this says so
            office.worker.tools.pool.close()
            await office.worker.tools.pool.wait_closed()
        await office.store.close()


async def open_later(settings: Settings, service: Service, log: Log, *, working: bool) -> Later:
    """Open what the modes in use need.

    Raises:
        StoreError (a ValueError): the database cannot be used.
    """
    return Later(settings, await _open(settings, service, log, working=working) if settings.spooling else None)


async def _open(settings: Settings, service: Service, log: Log, *, working: bool) -> Office:
    from relay.retry.intake import Intake  # noqa: PLC0415 -- only for the spool
    from relay.retry.spool import Spool  # noqa: PLC0415
    from relay.retry.worker import Worker  # noqa: PLC0415
    from relay.store import open_store  # noqa: PLC0415

    lease = settings.retry.spool.lease
    store = await open_store(settings.database.url)
    spool = Spool(store, f"{settings.hostname[:16]}-{os.getpid()}-{os.urandom(3).hex()}", lease)
    vault = _vault(settings)
    worker = Worker(spool, _tools(settings, service, vault), lease) if working else None
    return Office(
        store=store,
        vault=vault,
        intake=Intake(spool, _terms(settings, vault), log),
        worker=worker,
        working=asyncio.create_task(worker.run(), name="spool worker") if worker is not None else None,
    )


def _terms(settings: Settings, vault: Vault | None) -> Terms:
    from relay.retry.intake import Terms  # noqa: PLC0415

    chosen, disk = settings.retry.spool, settings.database.url.file
    return Terms(chosen.messages, chosen.size, chosen.free_disk, disk, _plan(settings), vault)


def _tools(settings: Settings, service: Service, vault: Vault | None) -> Tools:
    from relay.retry.worker import Tools  # noqa: PLC0415
    from relay.retry.writer import Writer  # noqa: PLC0415

    chosen, server = settings.retry.spool, server_of(settings)
    return Tools(
        pool=Pool(server, keeping_of(settings)._replace(warm=0), service.deadlines),
        deadlines=service.deadlines,
        plan=_plan(settings),
        writer=Writer(service.teller.book, settings.hostname, server.host, chosen.max_age, server.login is not None),
        journal=service.journal,
        vault=vault,
        concurrency=chosen.concurrency,
    )


def _plan(settings: Settings) -> Plan:
    from relay.retry.schedule import Plan  # noqa: PLC0415

    chosen = settings.retry.spool
    return Plan(chosen.first, chosen.longest, chosen.max_age, chosen.delay_notice)


def _vault(settings: Settings) -> Vault | None:
    from relay.retry.vault import Vault  # noqa: PLC0415

    chosen = settings.retry.spool
    return Vault(chosen.key) if chosen.keep_logins is KeepLogins.ENCRYPTED and chosen.key is not None else None
