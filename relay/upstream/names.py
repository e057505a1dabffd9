"""Looking up where the upstream is: once for all who wait, away from the event loop, and remembered for a moment."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
import time
from contextlib import suppress

from relay.networks import is_address

_FRESH_SECONDS = 10.0

Address = tuple[str, int]


class Names:
    """The addresses of one server.

    The event loop's own way would make every mail ask by itself, in a queue in which those who have given up stay; and
    the end of the process would wait for all of them. A resolver may take half a minute.
    """

    def __init__(self) -> None:
        self._asked: asyncio.Future[list[Address]] | None = None
        self._found: list[Address] = []
        self._stale = 0.0  # when they are to be looked up again

    async def find(self, host: str, port: int) -> list[Address]:
        """The addresses, that which was reached last first.

        Raises:
            OSError, UnicodeError: there are none, or the name cannot be one.
        """
        if time.monotonic() < self._stale:
            return self._found
        if is_address(host):
            return [(host, port)]
        loop = asyncio.get_running_loop()
        if self._asked is None or self._asked.get_loop() is not loop:
            asked = loop.create_future()
            look = threading.Thread(target=self._look_up, args=(host, port, loop, asked), name="names", daemon=True)
            try:
                look.start()
            except RuntimeError as error:
                raise OSError(errno.EAGAIN, str(error)) from None
            self._asked = asked
        return await asyncio.shield(self._asked)

    def reached(self, address: Address) -> None:
        """Try this one first from now on."""
        self._found.sort(key=lambda found: found != address)

    def _look_up(
        self, host: str, port: int, loop: asyncio.AbstractEventLoop, asked: asyncio.Future[list[Address]]
    ) -> None:
        found: list[Address] | Exception
        try:
            found = _addresses(host, port)
        except Exception as error:  # noqa: BLE001 -- whatever it is, those who wait must hear of it
            found = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(self._answer, asked, found)

    def _answer(self, asked: asyncio.Future[list[Address]], found: list[Address] | Exception) -> None:
        self._asked = None
        if isinstance(found, Exception):
            asked.set_exception(found)
            asked.exception()  # those who waited may have given up
        else:
            first = self._found[:1]
            self._found = found
            self._stale = time.monotonic() + _FRESH_SECONDS
            if first:
                self.reached(first[0])
            asked.set_result(found)


def _addresses(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(str(target[0]), port) for *_, target in found]
