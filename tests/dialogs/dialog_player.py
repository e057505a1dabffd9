"""Plays a dialog against a real relay: in this process, on this event loop, between two real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import socket
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from dialog_script import Script, Step, octets, parse, pattern

from relay.app import Relay, Workplace
from relay.config.load import load
from relay.config.sources import Flags
from relay.explain.book import Book
from relay.explain.shelf import shipped_chapters
from relay.record.log import NoLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SECONDS = 5.0  # a dialog that stands still has failed
_GREETING = "220 upstream.test ESMTP"
_OFFER = ("upstream.test", "PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES",
          "CHUNKING", "AUTH PLAIN LOGIN")  # fmt: skip
_REPLY = re.compile(rb"(?:\d\d\d-[^\r\n]*\r\n)*\d\d\d(?: [^\r\n]*)?\r\n")
# What the relay says by itself when a dialog is over: it gives the connection back, or takes its leave.
_LEAVE_TAKING = (b"", b"QUIT\r\n", b"RSET\r\n", b"RSET\r\nQUIT\r\n")


@functools.cache
def shipped_book(language: str) -> Book:
    return Book.read(shipped_chapters(), language=language)


@asynccontextmanager
async def running_relay(upstream: str, *assignments: str) -> AsyncIterator[tuple[Relay, int]]:
    """A relay in front of `upstream` (host:port) with the given settings, and its port."""
    chosen = tuple(each.format(upstream=upstream) for each in assignments)
    if not any(each.startswith("upstream.url=") for each in chosen):
        chosen = (f"upstream.url=smtp+plain://{upstream}", *chosen)
    flags = Flags(listen=("127.0.0.1:0",), set=("hostname=relay.test", "timeouts.drain=1", *chosen))
    settings = load(None, flags, {})
    relay = Relay(settings, shipped_book(settings.reply.language), Workplace.alone(settings, NoLog()))
    (address,) = await relay.listen()
    try:
        yield relay, int(address.rpartition(":")[2])
    finally:
        await relay.stop()


class End:
    """One end of a connection, as a dialog handles it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._said: list[bytes] = []
        self._heard = b""
        self._left = False  # the other side has said QUIT and waits for us to close

    def say(self, text: bytes) -> None:
        self._said.append(text)

    async def flush(self) -> None:
        if self._said:
            self._writer.write(b"".join(self._said))
            self._said.clear()
            await self._writer.drain()

    async def line(self) -> bytes:
        while b"\r\n" not in self._heard:
            await self._more("a line")
        line, _, self._heard = self._heard.partition(b"\r\n")
        self._left = line == b"QUIT"
        return line

    async def exactly(self, count: int) -> bytes:
        while len(self._heard) < count:
            await self._more(f"{count} octets")
        piece, self._heard = self._heard[:count], self._heard[count:]
        return piece

    async def reply(self) -> bytes:
        while not (found := _REPLY.match(self._heard)):
            await self._more("a reply")
        self._heard = self._heard[found.end() :]
        return found[0]

    async def rest(self) -> bytes:
        """All that comes until the other side closes, or has said QUIT."""
        while not (self._left or self._heard.endswith(b"QUIT\r\n")):
            try:
                await self._more("the end")
            except (EOFError, ConnectionError):
                break
        heard, self._heard = self._heard, b""
        return heard

    async def farewell(self) -> bytes:
        """What the other side says at the end, and close."""
        said = await self.rest()
        await self.close()
        return said

    async def closed(self) -> None:
        assert await self.rest() in _LEAVE_TAKING, "the other side said more before it closed"
        assert self._reader.at_eof() or self._reader.exception() is not None, "QUIT was said, but nothing closed"

    def half_close(self) -> None:
        if not self._writer.is_closing():
            self._writer.write_eof()

    def reset(self) -> None:
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):  # the other side was quicker
            await self._writer.wait_closed()

    async def _more(self, awaited: str) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                piece = await self._reader.read(65536)
        except TimeoutError:
            raise AssertionError(f"{awaited} was awaited, but only {self._heard!r} came") from None
        if not piece:
            raise EOFError(f"{awaited} was awaited, but the connection was closed after {self._heard!r}")
        self._heard += piece


class Upstream:
    """A listening socket whose connections a dialog takes one by one."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[End] = asyncio.Queue()
        self.ends: list[End] = []
        self._server: asyncio.Server | None = None

    async def listen(self) -> str:
        self._server = await asyncio.start_server(self._came, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def down(self) -> None:
        if self._server is not None:
            self._server.close()

    async def accept(self) -> End:
        try:
            async with asyncio.timeout(_SECONDS):
                return await self.waiting.get()
        except TimeoutError:
            raise AssertionError("the relay did not connect") from None

    async def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = End(reader, writer)
        self.ends.append(end)
        self.waiting.put_nowait(end)


class Player:
    """Plays the steps one after the other."""

    def __init__(self, port: int, upstream: Upstream) -> None:
        self._port = port
        self._upstream = upstream
        self._ends: dict[str, End] = {}
        self._clients: list[End] = []

    async def play(self, script: Script) -> None:
        await self._connect()
        for step in script.steps:
            try:
                await self._step(step)
            except (AssertionError, OSError, EOFError) as error:
                raise AssertionError(f"{step}\n{error}") from error
        await self._flush()

    async def finish(self) -> None:
        """The clients leave: none may have been told more than the dialog holds."""
        for client in self._clients:
            client.half_close()
            rest = await client.rest()
            assert rest == b"", f"the client was told more than the dialog holds: {rest!r}"

    async def close(self) -> None:
        """Leave nothing open, whatever has happened."""
        for client in self._clients:
            await client.close()

    async def _step(self, step: Step) -> None:
        if step.sign in (">", ">>"):
            self._ends[step.side].say(octets(step.text) + (b"\r\n" if step.sign == ">" else b""))
            return
        await self._flush()
        if step.sign == ":":
            await getattr(self, f"_{step.side}_{step.text.replace('-', '_')}")()
        elif step.sign == "<<":
            awaited = octets(step.text)
            assert await self._ends[step.side].exactly(len(awaited)) == awaited
        else:
            await self._hear(self._ends[step.side], step.text)

    async def _hear(self, end: End, text: str) -> None:
        if text == "closed":
            await end.closed()
        elif "..." in text:
            check_explained(await end.reply(), text)
        else:
            line = await end.line()
            assert pattern(text).fullmatch(line), f"heard instead: {line!r}"

    async def _flush(self) -> None:
        for end in self._ends.values():
            await end.flush()

    async def _connect(self) -> None:
        self._ends["client"] = End(*await asyncio.open_connection("127.0.0.1", self._port))
        self._clients.append(self._ends["client"])

    async def _both_ready(self) -> None:
        client = self._ends["client"]
        assert await client.line() == b"220 relay.test ESMTP explaining-relay"
        client.say(b"EHLO client.test\r\n")
        await client.flush()
        await self._upstream_ready()
        assert (await client.reply()).startswith(b"250-relay.test\r\n250-PIPELINING\r\n")

    async def _upstream_ready(self) -> None:
        await self._upstream_accept()
        end = self._ends["upstream"]
        end.say(_GREETING.encode() + b"\r\n")
        await end.flush()
        assert await end.line() == b"EHLO relay.test"
        *first, last = _OFFER
        end.say(b"".join(f"250-{line}\r\n".encode() for line in first) + f"250 {last}\r\n".encode())
        await end.flush()

    async def _upstream_accept(self) -> None:
        self._ends["upstream"] = await self._upstream.accept()

    async def _upstream_down(self) -> None:
        self._upstream.down()

    async def _upstream_close(self) -> None:
        await self._ends["upstream"].close()

    async def _upstream_reset(self) -> None:
        self._ends["upstream"].reset()

    async def _client_close(self) -> None:
        await self._ends["client"].close()

    async def _client_reset(self) -> None:
        self._ends["client"].reset()

    async def _client_half_close(self) -> None:
        self._ends["client"].half_close()

    async def _client_connect(self) -> None:
        await self._connect()


def check_explained(reply: bytes, awaited: str) -> None:
    """A refusal in our words: well formed, with its code and status on each line, and the named words in it."""
    prefix, _, words = awaited.partition("...")
    words, _, unsaid = words.partition(" never: ")
    code, _, status = prefix.strip().partition(" ")
    lines = reply.decode("ascii" if words.isascii() else "utf-8").removesuffix("\r\n").split("\r\n")
    texts = []
    for index, line in enumerate(lines):
        assert len(line) <= 510, f"a line of {len(line)} octets"
        separator = " " if index == len(lines) - 1 else "-"
        head = f"{code}{separator}{status} " if status else f"{code}{separator}"
        assert line.startswith(head), f"heard instead: {line!r}"
        assert line.isprintable()
        texts.append(line.removeprefix(head))
    assert status or not re.match(r"[245]\.\d+\.\d+ ", texts[0]), f"an enhanced code that nobody sent: {lines[0]}"
    assert len(lines) > 1, f"no explanation, only {lines[0]!r}"
    assert words.strip() in " ".join(texts), f"{words.strip()!r} is not in {reply!r}"
    assert not unsaid or unsaid.strip() not in " ".join(texts), f"{unsaid.strip()!r} is in {reply!r}"


async def play(text: str) -> None:
    """Play a dialog from beginning to end.

    Raises:
        AssertionError: its words name the line of the dialog, and what came instead.
    """
    script = parse(text)
    upstream = Upstream()
    place = await upstream.listen()
    try:
        async with running_relay(place, *script.settings) as (_, port):
            player = Player(port, upstream)
            try:
                await player.play(script)
                await player.finish()
            finally:
                await player.close()
                upstream.down()
                leaving = [asyncio.create_task(end.farewell()) for end in upstream.ends]
        for said in await asyncio.gather(*leaving):
            assert said in _LEAVE_TAKING, f"the upstream was told more than the dialog holds: {said!r}"
    finally:
        upstream.down()
        for end in upstream.ends:
            await end.close()
    assert upstream.waiting.empty(), f"{upstream.waiting.qsize()} connections to the upstream that the dialog lacks"
