"""Several ways side by side: in each round every way has its turn, so that what disturbs the machine disturbs all."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from benchmarks.figures import Comparison, Run
from benchmarks.generators import GENERATORS, LoadError
from benchmarks.loads import Lane, Sink, run
from benchmarks.peers import Peer, Target, serving
from benchmarks.programs import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_WARM_UP_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how often is measured."""

    rounds: int
    seconds: float
    idle_sessions: int
    generator: str = GENERATORS[0]

    def __str__(self) -> str:
        return f"{self.rounds} rounds of {self.seconds:g} s for each way; W1 to W3 sent by {self.generator}"


@dataclass(frozen=True, slots=True)
class Ways:
    """The peers that run, and why the others do not."""

    targets: tuple[Target, ...]
    unavailable: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def ways(peers: Sequence[Peer], upstream: int, folder: Path, facts: Mapping[str, str]) -> Iterator[Ways]:
    """Run these peers in front of one upstream, as many of them as this machine has."""
    targets: list[Target] = []
    unavailable: dict[str, str] = {}
    with ExitStack() as stack:
        for number, peer in enumerate(peers):
            try:
                targets.append(stack.enter_context(serving(peer, upstream, folder / f"peer{number}", facts)))
            except UnavailableError as error:
                unavailable[peer.name] = str(error)
        yield Ways(tuple(targets), unavailable)


def compare(title: str, lanes: Sequence[Lane], pace: Pace, sink: Sink) -> Comparison:
    """Measure every lane in every round. A lane on which a load breaks off is left out, with the reason."""
    broken: dict[str, str] = {}
    runs: dict[str, list[Run]] = {lane.name: [] for lane in lanes}
    warm = _one_round(lanes, sink, broken, _WARM_UP_SECONDS)
    if pace.generator == "smtp-source":
        lanes = [_counted(lane, warm, pace.seconds) for lane in lanes]
    for number in range(pace.rounds):
        turned = number % len(lanes)  # each round begins with another lane
        found = _one_round([*lanes[turned:], *lanes[:turned]], sink, broken, pace.seconds)
        for name, one in found.items():
            runs[name].append(one)
    whole = {name: tuple(found) for name, found in runs.items() if name not in broken}
    return Comparison(title, whole, broken)


def _counted(lane: Lane, warm: Mapping[str, Run], seconds: float) -> Lane:
    """With as many messages as will take about so many seconds."""
    return replace(lane, messages=int(warm[lane.name].rate * seconds) or 1) if lane.name in warm else lane


def _one_round(lanes: Sequence[Lane], sink: Sink, broken: dict[str, str], seconds: float) -> dict[str, Run]:
    found: dict[str, Run] = {}
    for lane in lanes:
        if lane.name in broken:
            continue
        try:
            found[lane.name] = run(lane, sink, seconds)
        except LoadError as error:
            broken[lane.name] = f"broke off: {error}"
    return found
