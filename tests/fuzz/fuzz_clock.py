"""An event loop whose time is moved by hand, and which runs until nothing is left to do: no test waits for a clock."""

from __future__ import annotations

import asyncio
import selectors
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSED, SILENT = "refused", "silent"  # what may become of an attempt to connect, besides a connection


class _HandSelector(selectors.DefaultSelector):
    """Never blocks: where an ordinary loop would wait, time jumps to the next timer, or the loop stops."""

    now = until = 0.0
    stop: Callable[[], None]

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None or self.now + timeout > self.until:
            self.now = self.until
            self.stop()
        else:
            self.now += timeout
        return []


class HandLoop(asyncio.SelectorEventLoop):
    """Connections out of it lead to `dial`, which gives the far end's socket to whoever plays the upstream."""

    def __init__(self, dial: Callable[[socket.socket], str]) -> None:
        self._hand = _HandSelector()
        super().__init__(self._hand)
        self._hand.stop = self.stop
        self._dial = dial
        self.troubles: list[str] = []
        self.dialling = 0  # attempts to connect that are not decided yet
        self.set_exception_handler(lambda _, context: self.troubles.append(str(context)))

    def time(self) -> float:
        return self._hand.now

    def advance(self, seconds: float = 0.0) -> None:
        """Run everything that is due within so many seconds; without any: what is due now."""
        self._hand.until = self._hand.now + seconds
        self.run_forever()

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    async def create_connection(self, factory: Any, *_: Any, **__: Any) -> Any:
        near, far = socket.socketpair()
        outcome = self._dial(far)
        if outcome == REFUSED:
            near.close()
            raise ConnectionRefusedError(111, "Connection refused")
        if outcome == SILENT:
            near.close()
            self.dialling += 1
            try:
                await self.create_future()
            finally:
                self.dialling -= 1
        return await super().create_connection(factory, sock=near)


def read_all(sock: socket.socket) -> tuple[bytes, bool]:
    """What can be read now, and whether the other side has closed."""
    octets = b""
    while True:
        try:
            piece = sock.recv(1 << 16)
        except BlockingIOError:
            return octets, False
        except ConnectionError:
            return octets, True
        if not piece:
            return octets, True
        octets += piece
