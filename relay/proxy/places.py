"""How many clients are connected, together and from one address: in this process, or in several that share a limit."""

from __future__ import annotations

import mmap
from collections import Counter
from typing import Protocol

_BUCKETS = 1 << 16  # addresses are told apart by a hash; two that share a bucket also share a limit
_TOTAL = _BUCKETS  # the cell behind the buckets


class Places(Protocol):
    """Who is here."""

    def enter(self, address: str) -> None:
        """Count a client in."""

    def leave(self, address: str) -> None:
        """Count it out."""

    def taken(self) -> int:
        """How many are here."""

    def taken_by(self, address: str) -> int:
        """How many of them come from this address."""


class OwnPlaces:
    """The clients of one process alone."""

    def __init__(self) -> None:
        self._addresses: Counter[str] = Counter()
        self._taken = 0

    def enter(self, address: str) -> None:
        """Count a client in."""
        self._addresses[address] += 1
        self._taken += 1

    def leave(self, address: str) -> None:
        """Count it out."""
        self._taken -= 1
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]

    def taken(self) -> int:
        """How many are here."""
        return self._taken

    def taken_by(self, address: str) -> int:
        """How many of them come from this address."""
        return self._addresses[address]


class SharedPlaces:
    """The clients of several processes, each of which writes to a row of its own, in memory that all inherit.

    Nothing is locked: a row has one writer, and a reader may be late by a client that enters at the same moment.
    """

    def __init__(self, rows: int) -> None:
        self._rows = tuple(memoryview(mmap.mmap(-1, (_BUCKETS + 1) * 4)).cast("I") for _ in range(rows))
        self._own = self._rows[0]

    def take_row(self, number: int) -> None:
        """Be the process of this row."""
        self._own = self._rows[number]

    def clear_row(self, number: int) -> None:
        """The process of this row is gone, and so are its clients."""
        row = self._rows[number]
        row[:] = memoryview(bytes(len(row) * 4)).cast("I")

    def enter(self, address: str) -> None:
        """Count a client in."""
        self._own[_TOTAL] += 1
        self._own[_bucket(address)] += 1

    def leave(self, address: str) -> None:
        """Count it out."""
        self._own[_TOTAL] -= 1
        self._own[_bucket(address)] -= 1

    def taken(self) -> int:
        """How many are here."""
        return sum(row[_TOTAL] for row in self._rows)

    def taken_by(self, address: str) -> int:
        """How many of them come from this address."""
        bucket = _bucket(address)
        return sum(row[bucket] for row in self._rows)


def _bucket(address: str) -> int:
    return hash(address) % _BUCKETS  # seeded at random for each start, inherited by every process of it
