"""A mail server that does, at each point of the dialogue, whatever a test tells it: tell lies, fall silent, break off.

It runs on an event loop in a thread of its own, so that thousands of connections cost nothing but memory, and tests may
talk to the relay as they like. What is not told otherwise is done as a good server does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

_OFFER = (b"upstream.example", b"PIPELINING", b"SIZE 200000000", b"8BITMIME", b"SMTPUTF8", b"DSN", b"CHUNKING")
_MECHANISMS = b"AUTH PLAIN LOGIN CRAM-MD5 XOAUTH2 OAUTHBEARER"
_BYE = b"221 2.0.0 Bye\r\n"
_END = b"\r\n.\r\n"


class LeftError(Exception):
    """This connection is over."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came to its end here, whatever was then said to it."""

    commands: tuple[bytes, ...]  # MAIL and RCPT, as heard
    octets: bytes  # with its dots still doubled, without the end
    connection: int


class Speaker:
    """One connection, for the acts to speak on."""

    def __init__(self, upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.upstream = upstream
        self.number = upstream.connections
        self.writer = writer
        self.said_354 = False
        self._reader = reader
        self._heard = bytearray()
        self._envelope: list[bytes] = []

    async def say(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    def close(self) -> None:
        self.writer.close()
        raise LeftError

    def reset(self) -> None:
        """Close so that the other side gets an RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
        raise LeftError

    async def until(self, *ends: bytes) -> bytes:
        """All octets up to the first of these, which is taken too."""
        longest, start = max(map(len, ends)), 0
        while True:
            found = [(at + len(end), end) for end in ends if (at := self._heard.find(end, start)) >= 0]
            if found:
                break
            start = max(0, len(self._heard) - longest)
            await self.more()
        stop, end = min(found)
        octets = bytes(self._heard[: stop - len(end)])
        del self._heard[:stop]
        return octets

    async def exactly(self, count: int) -> bytes:
        while len(self._heard) < count:
            await self.more()
        octets = bytes(self._heard[:count])
        del self._heard[:count]
        return octets

    @property
    def ended(self) -> bool:
        """Whether what was read last is the end of a message."""
        return self._heard.endswith(_END)

    async def more(self, most: int = 1 << 18) -> None:
        """Read on, at most so many octets at once."""
        octets = await self._reader.read(most)
        if not octets:
            raise LeftError
        self.upstream.octets += len(octets)
        self._heard += octets

    async def talk(self) -> None:
        await self.do("greeting", b"220 upstream.example ESMTP\r\n")
        while True:
            line = await self.until(b"\n")
            await self._command(line.rstrip(b"\r"))

    async def do(self, point: str, otherwise: bytes) -> None:
        """What the test told for this point, or a good server's reply."""
        act = self.upstream.acts.get(point)
        if act is None:
            await self.say(otherwise)
        else:
            await act(self)

    # -- details

    async def _command(self, line: bytes) -> None:
        self.upstream.commands.append(line)
        verb = line.split(b" ")[0].upper().decode("latin-1")
        match verb:
            case "EHLO":
                await self.do(verb, self.upstream.offer(encrypted=self._encrypted))
            case "AUTH":
                await self.do(verb, b"235 2.7.0 Welcome\r\n")
            case "MAIL" | "RCPT":
                self._envelope = [line] if verb == "MAIL" else [*self._envelope, line]
                await self.do(verb, b"250 2.1.0 Ok\r\n")
            case "DATA":
                await self._data()
            case "BDAT":
                await self.exactly(int(line.split()[1]))
                await self.do(verb, b"250 2.0.0 Ok\r\n")
            case "STARTTLS" if self.upstream.tls:
                await self._start_tls()
            case "QUIT":
                await self.do(verb, _BYE)
                self.close()
            case _:
                await self.do(verb, b"250 2.0.0 Ok\r\n")

    async def _data(self) -> None:
        self.said_354 = True
        await self.do("DATA", b"354 Go on\r\n")
        if not self.said_354:
            return
        if body := self.upstream.acts.get("body"):
            await body(self)
        octets = await self.until(_END, *self.upstream.other_ends)
        self.upstream.messages.append(Message(tuple(self._envelope), octets, self.number))
        await self.do("dot", b"250 2.0.0 Ok: queued\r\n")

    async def _start_tls(self) -> None:
        await self.do("STARTTLS", b"220 2.0.0 Go ahead\r\n")
        try:
            await self.writer.start_tls(self.upstream.tls)
        except OSError:  # the other side did not like what it saw
            raise LeftError from None
        self._heard.clear()

    @property
    def _encrypted(self) -> bool:
        return self.writer.get_extra_info("ssl_object") is not None


Act = Callable[[Speaker], Awaitable[None]]


class Upstream:
    """Listens on a port of loopback; `acts` says what is done at which point, the rest is what was seen.

    The points: greeting, each verb, body (the message is on its way), dot (its verdict).
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, implicit: bool = False, window: int = 0) -> None:
        self._window = window  # octets that the system takes ahead of what is read; 0: as it likes
        self.acts: dict[str, Act] = {}
        self.keywords: tuple[bytes, ...] = (*_OFFER, _MECHANISMS)
        self.other_ends: tuple[bytes, ...] = ()  # what also ends a message here
        self.tls = tls
        self.implicit = implicit
        self.commands: list[bytes] = []
        self.messages: list[Message] = []
        self.connections = 0
        self.octets = 0
        self.port = 0
        self._speakers: set[Speaker] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return len(self._speakers)

    def url(self, scheme: str = "smtp+plain") -> str:
        return f"{scheme}://127.0.0.1:{self.port}"

    def offer(self, *, encrypted: bool) -> bytes:
        """The reply to EHLO."""
        *first, last = (*self.keywords, b"STARTTLS") if self.tls and not encrypted else self.keywords
        return b"".join(b"250-" + keyword + b"\r\n" for keyword in first) + b"250 " + last + b"\r\n"

    def up(self) -> None:
        """Listen, on the same port as before."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)

    def down(self) -> None:
        """Listen no more, and reset all connections: what is left of a server that has died."""
        asyncio.run_coroutine_threadsafe(self._die(), self._loop).result(5)

    def say(self, octets: bytes) -> None:
        """Say this now on every connection, unasked; when this returns it has reached the other side's socket."""

        async def said() -> None:
            for speaker in tuple(self._speakers):
                await speaker.say(octets)

        asyncio.run_coroutine_threadsafe(said(), self._loop).result(5)

    def behave(self) -> None:
        """Be a good server again, on new connections; forget what was seen."""
        self.acts.clear()
        self.down()
        self.up()
        self.forget()

    def forget(self) -> None:
        self.commands.clear()
        self.messages.clear()

    async def _listen(self) -> None:
        context = self.tls if self.implicit else None
        self._server = await asyncio.start_server(self._came, "127.0.0.1", self.port, ssl=context, backlog=4096)
        sock = self._server.sockets[0]
        self.port = sock.getsockname()[1]
        if self._window:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._window)  # each connection inherits it

    async def stop_listening(self) -> None:
        """Close the listening socket.

        A connection that asyncio has accepted and not yet handed on would be forgotten when its server closes: neither
        served nor closed. So it is handed on first.
        """
        if self._server is not None and self._server.is_serving():
            self._loop.remove_reader(self._server.sockets[0])
            for _ in range(3):
                await asyncio.sleep(0)
            self._server.close()

    async def _die(self) -> None:
        await self.stop_listening()
        for speaker in tuple(self._speakers):
            with contextlib.suppress(LeftError, OSError):
                speaker.reset()
        for _ in range(200):  # each ends by itself now
            if not self._speakers:
                return
            await asyncio.sleep(0.01)

    async def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        speaker = Speaker(self, reader, writer)
        self._speakers.add(speaker)
        try:
            await speaker.talk()
        except (LeftError, OSError):
            pass
        finally:
            self._speakers.discard(speaker)
            writer.close()


def server_tls(certificate: Path) -> ssl.SSLContext:
    """A server's TLS with this certificate and the key in the same file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


# -- what an upstream can be told to do


def says(*pieces: bytes) -> Act:
    """Say this, each piece in a segment of its own; a piece without a reply's end leaves the other side waiting."""

    async def act(speaker: Speaker) -> None:
        speaker.said_354 = pieces[-1].startswith(b"354")
        for piece in pieces:
            await speaker.say(piece)
            if len(pieces) > 1:
                await asyncio.sleep(0.01)  # so that each is a segment

    return act


def closes(after: bytes = b"") -> Act:
    async def act(speaker: Speaker) -> None:
        await speaker.say(after)
        speaker.close()

    return act


def resets(after: bytes = b"") -> Act:
    async def act(speaker: Speaker) -> None:
        if after:
            await speaker.say(after)
            await asyncio.sleep(0.02)  # an RST takes with it what was not read yet
        speaker.reset()

    return act


async def falls_silent(speaker: Speaker) -> None:
    """Read on, and never answer again."""
    while True:
        await speaker.until(b"\n")


def sips(seconds: float) -> Act:
    """Read slowly for so long: what lies ready for this side is more than it takes meanwhile."""

    async def act(speaker: Speaker) -> None:
        for _ in range(round(seconds / 0.05)):
            await speaker.more(16384)
            if speaker.ended:
                break
            await asyncio.sleep(0.05)

    return act


async def stops_reading(speaker: Speaker) -> None:
    """Neither read nor answer, for as long as the connection lives."""
    with contextlib.suppress(OSError):
        await speaker.writer.wait_closed()
    raise LeftError


def trickles(octets: bytes, pause: float = 0.05) -> Act:
    """Say these octets over and over, one at a time, for ever."""

    async def act(speaker: Speaker) -> None:
        while True:
            for octet in octets:
                await speaker.say(bytes([octet]))
                await asyncio.sleep(pause)

    return act


async def dies(speaker: Speaker) -> None:
    """The whole server goes: this connection, all others, the listening socket."""
    await speaker.upstream.stop_listening()
    for other in tuple(speaker.upstream._speakers):
        if other is not speaker:
            other.writer.transport.abort()
    speaker.reset()
