"""What the operating system holds of a connection: octets that nobody has read yet, and octets on their way out."""

from __future__ import annotations

import select
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

if sys.platform == "linux":
    import termios
    from fcntl import ioctl


class KernelQueues:
    """The two queues of a connection's socket; empty where there is no socket, or none that can be asked."""

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        self._socket = transport.get_extra_info("socket")
        self._poll: select.poll | None = None
        if self._socket is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(self._socket.fileno(), select.POLLIN)

    def unread(self) -> bool:
        """Whether something was said that the loop has not read yet."""
        return self._poll is not None and bool(self._poll.poll(0))

    def unacknowledged(self) -> int:
        """How many octets the other side has not acknowledged (SIOCOUTQ of tcp(7)); they may be megabytes."""
        if sys.platform != "linux" or self._socket is None:
            return 0
        try:
            octets: int = struct.unpack("i", ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
        except OSError:  # not known to this kernel
            return 0
        return octets
