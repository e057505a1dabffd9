"""What a process that runs for months need not keep: the memory that its start took, and buffers nobody needs."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import asyncio

_TLS_BUFFER_OCTETS = 65536


def settle() -> None:
    """Give back what reading settings and book has left over, and look no more for garbage in what stays.

    Reading the book leaves 8 MB that the C library keeps for later. The collector would go through the tens of
    thousands of objects of book and libraries again and again; left alone, forked processes also share their memory.
    """
    gc.unfreeze()  # what was read before is garbage now, after a reload
    gc.collect()
    gc.freeze()
    with suppress(AttributeError, OSError, TypeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


def limit_buffers(transport: asyncio.BaseTransport) -> None:
    """Let an encrypted transport keep no more than a plain one does: by itself it takes ten times as much."""
    encrypted = cast("Any", transport)
    encrypted.set_write_buffer_limits(_TLS_BUFFER_OCTETS)
    encrypted.set_read_buffer_limits(_TLS_BUFFER_OCTETS)
