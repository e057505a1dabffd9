"""The parts of a whole measurement, one function each: who is started, which load is sent, what becomes of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks import idle, lookups, startup
from benchmarks.generators import GENERATORS, LoadError
from benchmarks.goals import DIRECT, lane
from benchmarks.loads import LOGIN, Lane, Sink, sink
from benchmarks.peers import (
    DOVECOT,
    HAPROXY_TLS,
    PEERS,
    POSTFIX_QUEUE,
    PROGRAM,
    PROGRAM_COMPILED,
    RELAY,
    RELAY_2,
    RELAY_COMPILED,
    RELAY_TLS,
    TLS_SINK,
    Target,
    make_certificate,
    serving,
)
from benchmarks.programs import UnavailableError, find
from benchmarks.rounds import Pace, Ways, compare, ways
from benchmarks.workloads import ACCEPTED, ADDRESS_ONLY, LOADS, REFUSED, W1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.figures import Comparison, Results
    from benchmarks.peers import Peer

_LOG_IN_THEMSELVES = (HAPROXY_TLS.name, DOVECOT.name)  # their clients do, that is


@dataclass(frozen=True, slots=True)
class Course:
    """How this measurement goes."""

    pace: Pace
    folder: Path
    replies: Path | None = None

    @property
    def own_pace(self) -> Pace:
        """The pace with the project's own generator, for what no other can do."""
        return replace(self.pace, generator=GENERATORS[0])

    def room(self, name: str) -> Path:
        """A folder of its own for one part."""
        made = self.folder / name
        made.mkdir()
        return made


def _side_by_side(name: str) -> Callable[[Course, Results], Results]:
    """The part that measures one load on all ways."""

    def measure(course: Course, results: Results) -> Results:
        load = LOADS[name]
        pace = course.pace if load.counts else course.own_pace
        with _started(course.room(name), PEERS) as (taken, found):
            lanes = [Lane(target.name, target, load) for target in (_direct(taken), *found.targets)]
            compared = compare(load.title, lanes, pace, taken)
        return _with(results, name, _whole(compared, found, _relay_by_others(compared)))

    return measure


def _waiting(course: Course, results: Results) -> Results:
    """W4."""
    costs, broken = [], {}
    with _started(course.room("W4"), PEERS) as (_, found):
        for target in found.targets:
            try:
                costs.append(idle.measure(target, course.pace.idle_sessions))
            except LoadError as error:
                broken[f"W4, {target.name}"] = str(error)
    left_out = {f"W4, {name}": why for name, why in found.unavailable.items()}
    return replace(results, idle=tuple(costs), unavailable={**results.unavailable, **left_out, **broken})


def _refusals(course: Course, results: Results) -> Results:
    """Sessions that are refused and explained, beside the same that are accepted."""
    with _started(course.room("refusals"), (RELAY, RELAY_COMPILED, RELAY_2)) as (taken, found):
        lanes = [
            Lane(lane(target.name, load.title), target, load)
            for target in (_direct(taken), *found.targets)
            for load in (ACCEPTED, ADDRESS_ONLY, REFUSED)
        ]
        compared = compare("every RCPT refused and explained, 20 sessions at once", lanes, course.own_pace, taken)
    pairs = [
        (lane(target.name, REFUSED.title), lane(target.name, load.title))
        for target in found.targets
        for load in (ACCEPTED, ADDRESS_ONLY)
    ]
    return _with(results, "refusals", _whole(compared, found, pairs))


def _tls(course: Course, results: Results) -> Results:
    """W1 with TLS and a login towards the upstream. Direct is plain: it is a yardstick, no rival."""
    room = course.room("tls")
    facts = make_certificate(room)
    peers = (RELAY_TLS, HAPROXY_TLS, DOVECOT, POSTFIX_QUEUE)
    with (
        sink(room / "sink", LOGIN) as taken,
        serving(TLS_SINK, taken.port, room / "tls", facts) as front,
        ways(peers, front.port, room, facts) as found,
    ):
        lanes = [Lane(DIRECT, _direct(taken), W1, LOGIN)]
        lanes += [Lane(one.name, one, W1, LOGIN if one.name in _LOG_IN_THEMSELVES else "") for one in found.targets]
        compared = compare("W1 with TLS and a login towards the upstream", lanes, course.own_pace, taken)
    return _with(results, "TLS", _whole(compared, found, _relay_by_others(compared)))


def _start(course: Course, results: Results) -> Results:
    times, room = 2 * course.pace.rounds + 1, course.room("start")
    single = dict(results.single)
    unavailable = dict(results.unavailable)
    for peer, program in ((RELAY, PROGRAM), (RELAY_COMPILED, PROGRAM_COMPILED)):
        try:
            find(program[0], peer.source)
            found = startup.measure(program, times, room)
        except UnavailableError as error:
            unavailable[f"start, {peer.name}"] = str(error)
        else:
            single |= {lane(peer.name, name): one for name, one in found.items()}
    return replace(results, single=single, unavailable=unavailable)


def _look_up(course: Course, results: Results) -> Results:
    found = lookups.measure(course.pace.rounds, course.replies)
    return replace(results, single={**results.single, **found})


PARTS: dict[str, Callable[[Course, Results], Results]] = {
    "W1": _side_by_side("W1"),
    "W2": _side_by_side("W2"),
    "W3": _side_by_side("W3"),
    "W4": _waiting,
    "W5": _side_by_side("W5"),
    "refusals": _refusals,
    "TLS": _tls,
    "start": _start,
    "lookups": _look_up,
}


@contextmanager
def _started(room: Path, peers: Sequence[Peer]) -> Iterator[tuple[Sink, Ways]]:
    with sink(room / "sink") as taken, ways(peers, taken.port, room, {}) as found:
        yield taken, found


def _direct(taken: Sink) -> Target:
    return Target(DIRECT, taken.port)


def _relay_by_others(compared: Comparison) -> list[tuple[str, str]]:
    ours = [way for way in compared.runs if way.startswith(RELAY.name)]
    return [(mine, other) for mine in ours for other in compared.runs if other not in (*ours, DIRECT)]


def _whole(compared: Comparison, found: Ways, pairs: Sequence[tuple[str, str]]) -> Comparison:
    """With the pairs of which both were measured, and the peers that did not even start."""
    measured = tuple(pair for pair in pairs if compared.runs.keys() >= set(pair))
    return replace(compared, unavailable={**found.unavailable, **compared.unavailable}, pairs=measured)


def _with(results: Results, name: str, compared: Comparison) -> Results:
    return replace(results, comparisons={**results.comparisons, name: compared})
