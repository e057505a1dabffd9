"""An upstream that can be switched off and on, and that treats each recipient as its address says."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import threading
import time
from dataclasses import dataclass, field
from typing import Self

_EHLO = b"250-upstream.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 SIZE 200000000\r\n"
_LATER = re.compile(rb"<later(\d+)")


@dataclass(frozen=True, slots=True)
class Received:
    """A message that was answered with 250."""

    sender: bytes
    recipients: tuple[bytes, ...]
    octets: bytes  # as they came, dots and all
    when: float


@dataclass(slots=True)
class Upstream:
    """`later3@...` is put off three times, `never@...` refused; anybody else is welcome.

    `busy` refuses every MAIL for now, `vanish` closes without a verdict behind every final dot. The first `weary`
    connections take their leave at MAIL. `plain` offers no extension, and knows no parameter.
    """

    port: int = 0
    received: list[Received] = field(default_factory=list)
    tries: dict[bytes, int] = field(default_factory=dict)
    busy: bool = False
    vanish: bool = False
    weary: int = 0
    plain: bool = False
    connections: int = 0  # so far
    logins: dict[bytes, bytes] = field(default_factory=dict)  # user -> password; if any, a login is demanded
    logged_in: list[bytes] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _thread: threading.Thread | None = None
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        asyncio.run_coroutine_threadsafe(self._drain(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"smtp+plain://127.0.0.1:{self.port}"

    def up(self) -> None:
        """Listen, on the port of the first time."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)

    def down(self) -> None:
        """Close everything."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(5)

    def reached(self) -> list[bytes]:
        """Every recipient of every message, in order."""
        return [recipient for message in list(self.received) for recipient in message.recipients]

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 27)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _drain(self) -> None:
        while self._writers:  # noqa: ASYNC110 -- nobody else waits for it
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._converse(reader, writer)
        self._writers.discard(writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 upstream.test ESMTP\r\n")
        sender, recipients = b"", []
        self.connections += 1
        number = self.connections
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"AUTH":
                writer.write(self._log_in(line.split()[2]))
            elif verb == b"MAIL":
                sender, recipients = line[10:].split()[0], []
                writer.write(b"555 5.5.4 What is that?\r\n" if self.plain and b"> " in line else self._welcome(number))
            elif verb == b"RCPT":
                reply = self._judge(line[8:].split()[0])
                reply = b"555 5.5.4 What is that?\r\n" if self.plain and b"> " in line else reply
                writer.write(reply)
                if reply.startswith(b"250"):
                    recipients.append(line[8:].split()[0])
            elif verb == b"DATA":
                writer.write(b"354 Go\r\n")
                lines = [b""]
                while lines[-1] != b".\r\n":
                    lines.append(await reader.readuntil(b"\r\n"))
                octets = b"".join(lines)
                if self.vanish:
                    return
                self.received.append(Received(sender, tuple(recipients), octets, time.time()))
                writer.write(b"250 2.0.0 Queued\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 Bye\r\n")
                return
            else:
                writer.write(self._ehlo() if verb == b"EHLO" else b"250 Ok\r\n")

    def _welcome(self, number: int) -> bytes:
        if number <= self.weary:
            return b"421 4.4.2 Idle for too long\r\n"
        return b"451 4.3.2 Busy\r\n" if self.busy else b"250 2.1.0 Ok\r\n"

    def _ehlo(self) -> bytes:
        if self.plain:
            return b"250 upstream.test\r\n"
        return _EHLO.replace(b"250-DSN", b"250-AUTH PLAIN\r\n250-DSN") if self.logins else _EHLO

    def _log_in(self, initial: bytes) -> bytes:
        _, user, password = base64.b64decode(initial).split(b"\0")
        if self.logins.get(user) != password:
            return b"535 5.7.8 Wrong\r\n"
        self.logged_in.append(user)
        return b"235 2.7.0 Welcome\r\n"

    def _judge(self, recipient: bytes) -> bytes:
        self.tries[recipient] = self.tries.get(recipient, 0) + 1
        later = _LATER.match(recipient)
        if later and self.tries[recipient] <= int(later[1]):
            return b"450 4.2.0 Greylisted\r\n"
        return b"550 5.1.1 User unknown\r\n" if recipient.startswith(b"<never") else b"250 2.1.5 Ok\r\n"
