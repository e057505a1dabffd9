"""What a process that runs for months need not keep: the memory that its start took."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress


def settle() -> None:
    """Give back what reading settings and book has left over, and look no more for garbage in what stays.

    Reading the book leaves 8 MB that the C library keeps for later. The collector would go through the tens of
    thousands of objects of book and libraries again and again; left alone, forked processes also share their memory.
    """
    gc.collect()
    gc.freeze()
    with suppress(AttributeError, OSError, TypeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
