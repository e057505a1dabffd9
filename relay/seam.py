"""Between the TCP and the TLS over it, where octets must be handed up by hand."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def hand_up(octets: bytes, tls: asyncio.BufferedProtocol) -> None:
    """Let the TLS read octets that the loop will not give it, for they were read already."""
    while octets:
        buffer = memoryview(tls.get_buffer(len(octets)))
        taken = min(len(buffer), len(octets))
        buffer[:taken] = octets[:taken]
        tls.buffer_updated(taken)
        octets = octets[taken:]


class Seam(asyncio.BufferedProtocol):
    """Hands everything up to the TLS; where writing has failed, first what the other side said before, read at last.

    The loop does not read any more then, and of the TLS nobody hears in time: it tells of the loss later, when the
    number of the socket may be another connection's.
    """

    def __init__(self, tls: asyncio.BufferedProtocol, last_words: Callable[[], bytes]) -> None:
        self._tls = tls
        self._last_words = last_words

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the octets go that come."""
        return memoryview(self._tls.get_buffer(sizehint))

    def buffer_updated(self, nbytes: int) -> None:
        """So many have come."""
        self._tls.buffer_updated(nbytes)

    def eof_received(self) -> bool | None:
        """The other side has closed."""
        return self._tls.eof_received()

    def pause_writing(self) -> None:
        """It does not read."""
        self._tls.pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        self._tls.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection broke, or was cut here."""
        if exc is not None:
            hand_up(self._last_words(), self._tls)
        self._tls.connection_lost(exc)
