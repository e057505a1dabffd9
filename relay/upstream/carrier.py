"""One mail carried over one connection by a task: it asks and awaits, where the proxy's own path is called back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from relay.smtp import Fault, Phase, Reply, outcome_unknown, reply_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.upstream.connection import Connection
    from relay.upstream.exchange import Expected


class Carrier:
    """Owns a connection for one mail. Whatever happens to it, every question gets a Reply."""

    def __init__(self, connection: Connection, on_full: Callable[[bool], None] | None = None) -> None:
        connection.owner = self
        self.connection = connection
        self.lost: Reply | None = None  # why nothing more can be said, or a verdict that came early
        self._on_full = on_full
        self._room = asyncio.Event()
        self._room.set()
        self._sent = False  # the final dot may be on its way

    @property
    def alive(self) -> bool:
        """Whether the connection still serves this mail."""
        return self.lost is None and not self.connection.dead

    def say(self, line: bytes, phase: Phase) -> asyncio.Future[Reply]:
        """Say a command now; the future holds its reply."""
        return self.connection.ask(line, phase)

    def stream(self, octets: bytes) -> None:
        """Pass on a piece of the message, whether or not the upstream keeps up."""
        if self.alive:
            self.connection.stream(octets)

    async def pour(self, octets: bytes) -> None:
        """Pass on a piece of the message, at the upstream's pace."""
        await self._room.wait()
        self.stream(octets)

    async def finish(self, octets: bytes) -> Reply:
        """Pass on the last piece, final dot included; the verdict."""
        await self._room.wait()
        if self.lost is not None:
            return self.lost
        verdict: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._sent = True
        self.connection.finish(octets, lambda reply: None if verdict.done() else verdict.set_result(reply))
        reply = await verdict
        return self.lost if self.lost is not None and reply.fault is Fault.DISCONNECTED else reply

    def leave(self) -> None:
        """Let go of the connection; whoever takes it next is its owner."""
        if self.connection.owner is self:
            self.connection.owner = None

    # -- the Owner of a Connection

    def upstream_heard(self) -> None:
        """Whoever awaits a reply goes on by itself."""

    def upstream_early(self, reply: Reply) -> None:
        """The verdict came before the message was complete."""
        self.lost = reply
        self._unblock()

    def upstream_lost(self, pending: tuple[Expected, ...], fault: Fault, detail: str) -> None:
        """The connection is gone; where the final dot was sent, nobody knows what became of the message."""
        name = self.connection.server.name
        unclear = self._sent and bool(pending) and pending[-1].phase is Phase.MESSAGE
        self.lost = (
            outcome_unknown(fault, Phase.MESSAGE, name) if unclear else reply_for(fault, Phase.MESSAGE, name, detail)
        )
        for expected in pending:
            expected.answer(self.lost._replace(phase=expected.phase))
        self._unblock()

    def upstream_full(self, *, full: bool) -> None:
        """Wait, or go on."""
        (self._room.clear if full else self._room.set)()
        if self._on_full is not None:
            self._on_full(full)

    def _unblock(self) -> None:
        self._room.set()
        if self._on_full is not None:
            self._on_full(False)
