"""A walk to the upstream without sending mail, by the very steps that mail would take (`relay check --probe`)."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from relay.deadlines import Deadlines
from relay.smtp import Phase, Reply
from relay.upstream.dial import connect, steps

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from relay.upstream.connection import Connection
    from relay.upstream.server import Server

_POLITE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One step: what was seen, or (not ok) the reply or the fault that ended the walk."""

    name: str
    text: str
    refusal: Reply | None = None

    @property
    def ok(self) -> bool:
        """Whether the step succeeded."""
        return self.refusal is None


async def probe(server: Server) -> AsyncIterator[ProbeStep]:
    """Take each step and tell of it; the first that fails is the last."""
    connection = await connect(server, Deadlines(asyncio.get_running_loop()))
    if isinstance(connection, Reply):
        yield ProbeStep("connect", connection.text, connection)
        return
    yield ProbeStep("connect", _connected(connection))
    try:
        for name, step in steps(server):
            refusal = await step(connection)
            yield ProbeStep(name, refusal.text if refusal else _seen(name, connection), refusal)
            if refusal is not None:
                return
    finally:
        await asyncio.wait({connection.ask(b"QUIT", Phase.MAIL)}, timeout=_POLITE_SECONDS)
        connection.abort()  # here, for nobody keeps the loop alive to hear the farewell later


def _connected(connection: Connection) -> str:
    peer = connection.transport.get_extra_info("peername") if connection.transport is not None else None
    address = f"to {peer[0]} port {peer[1]}" if peer else f"to {connection.server.name}"
    return f"{address}, {_encryption(connection)}" if connection.secure else address


def _seen(name: str, connection: Connection) -> str:
    match name:
        case "greeting":
            return connection.greeting.result().text
        case "EHLO":
            words = (f"{word.decode()} {value.decode()}".strip() for word, value in _offered(connection))
            return ", ".join(words) or "no extensions"
        case "STARTTLS":
            return _encryption(connection) if connection.secure else "not offered; plain is accepted on this machine"
        case _:
            return f"accepted for {connection.server.login.user}" if connection.server.login else "accepted"


def _offered(connection: Connection) -> list[tuple[bytes, bytes]]:
    return sorted(connection.capabilities.keywords.items())


def _encryption(connection: Connection) -> str:
    transport = cast("asyncio.Transport", connection.transport)
    tls = transport.get_extra_info("ssl_object")
    if not isinstance(tls, (ssl.SSLObject, ssl.SSLSocket)):
        return "encrypted"
    certificate = tls.getpeercert() or {}
    verified = f"certificate verified, valid until {certificate.get('notAfter', 'an unknown day')}"
    return f"{tls.version()}, {verified}"
