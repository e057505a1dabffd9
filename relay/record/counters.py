"""What is counted, in memory that processes share: each adds to a row of its own, and whoever asks adds the rows up."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from relay.explain.reason import Reason
from relay.smtp import Fault, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

Key = tuple[str, ...]

MESSAGES, OCTETS, CONNECTIONS, CLIENTS, KEPT = range(5)
_SINGLE: tuple[Key, ...] = (("messages",), ("octets",), ("connections",), ("clients",), ("kept",))
# What became of letters of the spool: the event of the log -> the counter.
SPOOL_EVENTS = {
    "spool_delivered": 5,
    "spool_later": 6,
    "spool_failed": 7,
    "spool_stuck": 8,
    "spool_outcome_unknown": 9,
    "spool_taken_over": 10,
}
_SPOOLED: tuple[Key, ...] = tuple(("spool", event.removeprefix("spool_")) for event in SPOOL_EVENTS)
_CLASSES = ("4xx", "5xx")
_PHASES = (*Phase, "")  # "": where no command was being answered
_FAILURES: tuple[Key, ...] = tuple(
    ("failures", reason, phase, kind) for reason in Reason for phase in _PHASES for kind in _CLASSES
)
_FAULTS: tuple[Key, ...] = tuple(("faults", fault) for fault in Fault)
_KEYS = (*_SINGLE, *_SPOOLED, *_FAILURES, *_FAULTS)
_PLACE = {key: place for place, key in enumerate(_KEYS)}


class Row:
    """What one process has counted."""

    __slots__ = ("_cells",)

    def __init__(self, cells: memoryview[int]) -> None:
        self._cells = cells

    def add(self, place: int, count: int = 1) -> None:
        """Count; the places are this module's constants."""
        self._cells[place] += count

    def failure(self, reason: Reason, phase: Phase | None, code: int) -> None:
        """Count a refusal that was explained."""
        self._cells[_PLACE["failures", reason, phase or "", _CLASSES[code >= 500]]] += 1

    def fault(self, fault: Fault) -> None:
        """Count a failure that no upstream put into words: trouble on the way, or the relay's own limit."""
        self._cells[_PLACE["faults", fault]] += 1

    def set(self, place: int, value: int) -> None:
        """Tell how many there are now."""
        self._cells[place] = value


class Counters:
    """One row for each process; made before the processes are, so that they inherit it."""

    def __init__(self, rows: int = 1) -> None:
        self._cells = memoryview(mmap.mmap(-1, rows * len(_KEYS) * 8)).cast("q")
        self._rows = rows

    def row(self, number: int) -> Row:
        """The row of one process."""
        first = number * len(_KEYS)
        return Row(self._cells[first : first + len(_KEYS)])

    def totals(self) -> Iterator[tuple[Key, int]]:
        """What all processes have counted together."""
        for place, key in enumerate(_KEYS):
            yield key, sum(self._cells[place :: len(_KEYS)])
