"""The two libraries as their manuals suggest to use them, each against a peer on loopback."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.smtp import SMTP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_DIALOGS = Path(__file__).parents[1] / "dialogs"
sys.path.insert(0, str(_DIALOGS))  # the player of dialogs shows that the relay does not have the trap

_REPLY = re.compile(rb"(?:\d\d\d-[^\n]*\n)*\d\d\d(?: [^\n]*)?\n")


class Accepting:
    """A handler that takes everything and remembers what it was given."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 -- aiosmtpd's name
        self.envelopes.append(envelope)
        return "250 OK"


@pytest.fixture
def handler() -> Accepting:
    return Accepting()


@asynccontextmanager
async def _serving(make: Callable[[], asyncio.Protocol]) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Bare:
    """A client of a bare aiosmtpd server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def hear(self) -> bytes:
        heard = b""
        async with asyncio.timeout(5):
            while not _REPLY.fullmatch(heard):
                line = await self._reader.readline()
                if not line:
                    return heard
                heard += line
        return heard

    async def say(self, octets: bytes) -> bytes:
        self._writer.write(octets)
        return await self.hear()

    def half_close(self) -> None:
        self._writer.write_eof()

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def bare(handler: Accepting):
    """Opens clients of one bare aiosmtpd.smtp.SMTP server, greeted and (unless told otherwise) past EHLO."""
    opened: list[Bare] = []
    servers = []

    async def connect(*, hello: bool = True, with_handler: Any = None, **settings: Any) -> Bare:
        loop = asyncio.get_running_loop()
        context = _serving(lambda: SMTP(with_handler or handler, loop=loop, hostname="bare.test", **settings))
        servers.append(context)
        port = await context.__aenter__()
        client = Bare(*await asyncio.open_connection("127.0.0.1", port))
        opened.append(client)
        await client.hear()
        if hello:
            await client.say(b"EHLO client.test\r\n")
        return client

    yield connect
    for client in opened:
        client.close()
    for server in servers:
        await server.__aexit__(None, None, None)
    await asyncio.sleep(0)


@pytest.fixture
async def scripted():
    """Starts an SMTP server that says its lines, one for each line it hears; what it heard is in `heard`."""
    heard: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []
    servers: list[asyncio.Server] = []

    async def start(*says: bytes) -> tuple[int, list[bytes]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            for each in says:
                if not each:  # the server vanishes
                    writer.close()
                    return
                writer.write(each)
                line = await reader.readline()
                if not line:
                    return
                heard.append(line)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        servers.append(server)
        return server.sockets[0].getsockname()[1], heard

    yield start
    for writer in writers:
        writer.close()
    for server in servers:
        server.close()
    await asyncio.sleep(0)


@pytest.fixture
def relay_passes() -> Callable[[str], Awaitable[None]]:
    """Plays a dialog of tests/dialogs by its name: the relay has not this trap."""
    from dialog_player import play  # noqa: PLC0415 -- found only after the path is set above

    async def passes(name: str) -> None:
        path = _DIALOGS / f"{name}.dialog"
        await play(path.read_text("utf-8"))

    return passes
