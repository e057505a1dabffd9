"""The results as a page of Markdown, and as JSON. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from operator import attrgetter
from typing import TYPE_CHECKING

from benchmarks.goals import DIRECT, GOALS, RELAY, RELAY_COMPILED, Goal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from benchmarks.figures import Comparison, Figure, Results, Run

    Quantity = Callable[[Run], float]

_COLUMNS: Mapping[str, Quantity] = {  # what is shown of each run
    "messages/s": attrgetter("rate"),
    "CPU ms per message": attrgetter("cpu_ms"),
    "p50 ms": attrgetter("p50_ms"),
    "p99 ms": attrgetter("p99_ms"),
}
_RATIOS = ("messages/s", "p50 ms", "p99 ms")
_MEMORY: Mapping[str, Quantity] = {"peak RSS MiB": attrgetter("rss_mib"), "peak PSS MiB": attrgetter("pss_mib")}


def markdown(results: Results) -> str:
    """The whole page."""
    parts = ["# Results", _machine(results), *_goals(results)]
    for name, found in results.comparisons.items():
        parts += _comparison(name, found)
    parts += [*_idle(results), *_single(results), *_unavailable(results)]
    return "\n\n".join(filter(None, parts)) + "\n"


def as_json(results: Results) -> str:
    """Every run, for programs."""
    return json.dumps(asdict(results), indent=1, ensure_ascii=False) + "\n"


def number(value: float) -> str:
    """Three digits that count: 0.0457, 1.23, 45.7, 4,570; a hyphen for what was not measured."""
    if not value:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def figure(found: Figure) -> str:
    """Median, and in brackets the least and the most; a hyphen where nothing was measured."""
    return f"{number(found.median)} ({number(found.min)}-{number(found.max)})" if found.max else "-"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown: words on the left, numbers on the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _machine(results: Results) -> str:
    return table(("machine", ""), results.machine.items())


def _goals(results: Results) -> list[str]:
    rows = [_goal(goal, results) for goal in GOALS]
    return ["## Goals", table(("one worker", "must", "aim", RELAY, "verdict", RELAY_COMPILED, "verdict"), rows)]


def _goal(goal: Goal, results: Results) -> tuple[str, ...]:
    sign = "<=" if goal.at_most else ">="
    bounds = (f"{sign} {number(bound)}" for bound in (goal.must, goal.aim))
    return (goal.words, *bounds, *_judged(goal, results, RELAY), *_judged(goal, results, RELAY_COMPILED))


def _judged(goal: Goal, results: Results, way: str) -> tuple[str, str]:
    try:
        value = goal.value(results, way)
    except (KeyError, StopIteration, ZeroDivisionError):
        return ("-", "not measured")
    reached = "aim" if goal.met(value, goal.aim) else "must" if goal.met(value, goal.must) else "**missed**"
    return (number(value), reached)


def _comparison(name: str, found: Comparison) -> list[str]:
    heading = found.title if found.title.startswith(name) else f"{name}: {found.title}"
    return [f"## {heading}", _ways(found), *_ratios(found), *_left_out(found)]


def _ways(found: Comparison) -> str:
    columns, memory = _known(found, _COLUMNS), _known(found, _MEMORY)
    shared = ["share of direct"] if DIRECT in found.runs else []
    rows = []
    for way in found.runs:
        cells = [figure(found.figure(way, quantity)) for quantity in columns.values()]
        cells += [figure(found.ratio(way, DIRECT, attrgetter("rate"))) for _ in shared]
        cells += [number(found.figure(way, quantity).max) for quantity in memory.values()]
        rows.append((way, *cells))
    return table(("way", *columns, *shared, *memory), rows)


def _ratios(found: Comparison) -> list[str]:
    """Rate and latency of one way by those of another, round by round."""
    quantities = _known(found, {name: _COLUMNS[name] for name in _RATIOS})
    rows = [
        (f"{one} / {other}", *(figure(found.ratio(one, other, quantity)) for quantity in quantities.values()))
        for one, other in found.pairs
    ]
    return [table(("ratio", *quantities), rows)] if rows else []


def _known(found: Comparison, quantities: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Those that were measured: not every generator knows latencies."""
    everything = [run for runs in found.runs.values() for run in runs]
    return {name: quantity for name, quantity in quantities.items() if any(map(quantity, everything))}


def _left_out(found: Comparison) -> list[str]:
    return ["\n".join(f"- {way}: {why}" for way, why in found.unavailable.items())] if found.unavailable else []


def _idle(results: Results) -> list[str]:
    if not results.idle:
        return []
    head = ("way", "sessions", "after EHLO, KiB each", "in the message, KiB each", "RSS after EHLO, MiB")
    rows = [
        (cost.way, f"{cost.sessions:,}", *map(number, (cost.greeted_kib, cost.in_message_kib, cost.greeted_rss_mib)))
        for cost in results.idle
    ]
    return ["## W4: sessions that wait", table(head, rows)]


def _single(results: Results) -> list[str]:
    rows = [(name, figure(found)) for name, found in results.single.items()]
    return ["## Start and look-up", table(("", "median (min-max)"), rows)] if rows else []


def _unavailable(results: Results) -> list[str]:
    lines = [f"- {name}: {why}" for name, why in results.unavailable.items()]
    return ["## Not available", "\n".join(lines)] if lines else []
