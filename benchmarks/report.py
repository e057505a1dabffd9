"""The results as a page of Markdown, and as JSON. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from operator import attrgetter
from typing import TYPE_CHECKING

from benchmarks.goals import DIRECT, GOALS, RELAY, Goal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.figures import Comparison, Figure, Results

_COLUMNS = {  # what is shown of each run
    "messages/s": attrgetter("rate"),
    "CPU ms per message": attrgetter("cpu_ms"),
    "p50 ms": attrgetter("p50_ms"),
    "p99 ms": attrgetter("p99_ms"),
}
_MEMORY = {"peak RSS MiB": attrgetter("rss_mib"), "peak PSS MiB": attrgetter("pss_mib")}


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
    """Three digits that count: 0.0457, 1.23, 45.7, 4,570."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def figure(found: Figure) -> str:
    """Median, and in brackets the least and the most."""
    return f"{number(found.median)} ({number(found.min)}-{number(found.max)})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown: words on the left, numbers on the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _machine(results: Results) -> str:
    return table(("machine", ""), results.machine.items())


def _goals(results: Results) -> list[str]:
    rows = [_goal(goal, results) for goal in GOALS]
    return ["## Goals", table(("one worker", "measured", "must", "aim", "verdict"), rows)]


def _goal(goal: Goal, results: Results) -> tuple[str, ...]:
    sign = "<=" if goal.at_most else ">="
    bounds = tuple(f"{sign} {number(bound)}" for bound in (goal.must, goal.aim))
    try:
        value = goal.value(results)
    except (KeyError, StopIteration):
        return (goal.words, "-", *bounds, "not measured")
    reached = "aim" if goal.met(value, goal.aim) else "must" if goal.met(value, goal.must) else "**missed**"
    return (goal.words, number(value), *bounds, reached)


def _comparison(name: str, found: Comparison) -> list[str]:
    yardstick = DIRECT if DIRECT in found.runs else None
    memory = _MEMORY if any(run.rss_mib for runs in found.runs.values() for run in runs) else {}
    head = ("way", *_COLUMNS, *(["share of direct"] if yardstick else []), *memory)
    rows = []
    for way in found.runs:
        cells = [figure(found.figure(way, quantity)) for quantity in _COLUMNS.values()]
        cells += [figure(found.ratio(way, yardstick, attrgetter("rate")))] if yardstick else []
        cells += [number(found.figure(way, quantity).max) for quantity in memory.values()]
        rows.append((way, *cells))
    return [f"## {_heading(name, found)}", table(head, rows), *_ratios(found), *_left_out(found)]


def _heading(name: str, found: Comparison) -> str:
    return found.title if found.title.startswith(name) else f"{name}: {found.title}"


def _ratios(found: Comparison) -> list[str]:
    """The relay's rate and latency by those of everybody else, round by round."""
    ours = [way for way in found.runs if way.startswith(RELAY)]
    others = [way for way in found.runs if way not in ours and way != DIRECT]
    rows = [
        (f"{mine} by {other}", *(figure(found.ratio(mine, other, attrgetter(q))) for q in ("rate", "p50_ms", "p99_ms")))
        for mine in ours
        for other in others
    ]
    return [table(("ratio", "messages/s", "p50", "p99"), rows)] if rows else []


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
