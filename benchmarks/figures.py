"""What was measured, as numbers: one run, several runs, and what they say beside each other. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Run:
    """One load on one way. CPU and memory are those of the whole process tree between generator and sink."""

    messages: int
    seconds: float
    cpu_seconds: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    rss_mib: float = 0.0
    pss_mib: float = 0.0

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds for a message, which are CPU seconds for a thousand."""
        return self.cpu_seconds / self.messages * 1000


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity that was measured several times."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        """Of at least one value.

        Raises:
            ValueError: there is none.
        """
        found = tuple(values)
        if not found:
            raise ValueError("found no values, expected at least one run")
        return cls(median(found), min(found), max(found))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several ways measured in the same rounds: the n-th run of each belongs to round n."""

    title: str
    runs: Mapping[str, tuple[Run, ...]]
    unavailable: Mapping[str, str] = field(default_factory=dict)  # way -> why it was not measured
    pairs: tuple[tuple[str, str], ...] = ()  # whom to set beside whom in the report

    def figure(self, way: str, quantity: Callable[[Run], float]) -> Figure:
        """A quantity of one way over all rounds."""
        return Figure.of(map(quantity, self.runs[way]))

    def ratio(self, way: str, other: str, quantity: Callable[[Run], float]) -> Figure:
        """A quantity of one way by that of another, round by round, so that what a round suffered cancels out."""
        pairs = zip(self.runs[way], self.runs[other], strict=True)
        return Figure.of(quantity(one) / quantity(two) for one, two in pairs)


@dataclass(frozen=True, slots=True)
class IdleCost:
    """Memory (PSS) of many sessions that wait, in KiB for each."""

    way: str
    sessions: int
    greeted_kib: float  # after EHLO
    in_message_kib: float  # in the middle of DATA, 4 KiB sent
    greeted_rss_mib: float


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that one call of the bench has found."""

    machine: Mapping[str, str]
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)  # by workload
    idle: tuple[IdleCost, ...] = ()
    single: Mapping[str, Figure] = field(default_factory=dict)  # start-up and look-ups, the unit in the name
    unavailable: Mapping[str, str] = field(default_factory=dict)  # what was not measured at all, and why

    def without(self, part: str, why: str) -> Results:
        """The same, with the reason why one part of it was not measured."""
        return replace(self, unavailable={**self.unavailable, part: why})
