"""What lies below a connection, TCP and any TLS over it: whether something came, and how what was written moves on."""

from __future__ import annotations

import os
import select
import struct
import sys
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import asyncio

if sys.platform == "linux":
    import termios
    from fcntl import ioctl


_LAST_OCTETS = 65536


class Below:
    """The transports of one connection and the system's queues of its socket; nothing is known before `add`."""

    def __init__(self) -> None:
        self._transports: list[asyncio.Transport] = []  # each holds octets of its own
        self._descriptor = -1
        self._poll: select.poll | None = None
        self._least = 0.0  # octets that must be taken in the wait; 0: none is waited for
        self._left = 0  # octets that were still to be taken when it began

    def add(self, transport: asyncio.BaseTransport) -> None:
        """First the TCP, then the TLS over it."""
        sock = None if self._transports else transport.get_extra_info("socket")
        if sock is not None:
            self._descriptor = sock.fileno()
            if hasattr(select, "poll"):
                self._poll = select.poll()
                self._poll.register(self._descriptor, select.POLLIN)
        self._transports.append(cast("asyncio.Transport", transport))

    def unread(self) -> bool:
        """Whether something was said that the loop has not read yet."""
        return self._poll is not None and bool(self._poll.poll(0))

    def last_words(self) -> bytes:
        """What came before the connection broke and the loop has not read: of the socket, records of TLS maybe."""
        try:
            return os.read(self._descriptor, _LAST_OCTETS)
        except OSError:
            return b""

    def unsent(self) -> int:
        """How many octets still wait here because the other side does not read."""
        return sum([transport.get_write_buffer_size() for transport in self._transports])

    def begin_wait(self, least: float) -> None:
        """From now on the other side is waited for to take at least so many octets of what was written."""
        self._least, self._left = least, self._untaken()

    def end_wait(self) -> None:
        """It is not waited for any more."""
        self._least = 0.0

    def taken(self) -> bool:
        """Whether it has taken as many since the wait began."""
        return self._least > 0 and self._left - self._untaken() >= self._least

    def _untaken(self) -> int:
        """How many octets the other side has still to take, those in the system's hands among them: maybe megabytes."""
        return self.unsent() + self._unacknowledged()

    def _unacknowledged(self) -> int:
        """SIOCOUTQ of tcp(7); 0 where the system does not tell."""
        if sys.platform != "linux" or self._descriptor < 0:
            return 0
        try:
            octets: int = struct.unpack("i", ioctl(self._descriptor, termios.TIOCOUTQ, bytes(4)))[0]
        except OSError:
            return 0
        return octets
