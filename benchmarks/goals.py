"""What the relay is held to: each goal names a figure, what it must be, and what it should be. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from benchmarks.workloads import ACCEPTED, REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.figures import Results

    Value = Callable[[Results, str], float]  # of one of our ways

DIRECT, RELAY, RELAY_COMPILED, HAPROXY, POSTFIX, NAIVE = (
    "direct",
    "relay",
    "relay, compiled",
    "haproxy tcp",
    "Postfix before-queue proxy",
    "naive aiosmtpd + aiosmtplib",
)

UNTIL_READY, EXPLAINED = "run until ready, CPU s", "explain 421, CPU s"  # each of one of our ways


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a figure. `at_most` tells which way is good."""

    words: str
    value: Value  # raises KeyError, StopIteration or ZeroDivisionError where it was not measured
    must: float
    aim: float
    at_most: bool = False

    def met(self, value: float, bound: float) -> bool:
        """Whether the value keeps to the bound."""
        return value <= bound if self.at_most else value >= bound


def lane(way: str, load: str) -> str:
    """The name of a way under one of the loads that are measured together."""
    return f"{way}: {load}"


def _ratio(workload: str, other: str, quantity: str = "rate") -> Value:
    return lambda found, way: found.comparisons[workload].ratio(way, other, attrgetter(quantity)).median


def _figure(workload: str, quantity: str) -> Value:
    return lambda found, way: found.comparisons[workload].figure(way, attrgetter(quantity)).median


def _memory(found: Results, way: str) -> float:
    return max(found.comparisons[load].figure(way, attrgetter("rss_mib")).max for load in ("W1", "W2", "W3"))


def _idle(found: Results, way: str) -> float:
    return next(cost.greeted_kib for cost in found.idle if cost.way == way)


def _refusals(found: Results, way: str) -> float:
    names = (lane(way, REFUSED.title), lane(way, ACCEPTED.title))
    return found.comparisons["refusals"].ratio(*names, attrgetter("rate")).median


def _start_up(name: str) -> Value:
    return lambda found, way: found.single[lane(way, name)].median


GOALS = (
    Goal("W1, share of direct", _ratio("W1", DIRECT), 0.35, 0.50),
    Goal("W2, share of direct", _ratio("W2", DIRECT), 0.24, 0.35),
    Goal("W3, share of direct", _ratio("W3", DIRECT), 0.36, 0.42),
    Goal("W1, by Postfix", _ratio("W1", POSTFIX), 1.5, 2.4),
    Goal("W2, by Postfix", _ratio("W2", POSTFIX), 2.2, 3.2),
    Goal("W3, by Postfix", _ratio("W3", POSTFIX), 2.2, 2.6),
    Goal("W1, by haproxy", _ratio("W1", HAPROXY), 0.75, 1.1),
    Goal("W2, by haproxy", _ratio("W2", HAPROXY), 0.5, 0.8),
    Goal("W3, by haproxy", _ratio("W3", HAPROXY), 0.85, 1.0),
    Goal("W1, by the naive proxy", _ratio("W1", NAIVE), 3.5, 5),
    Goal("W2, by the naive proxy", _ratio("W2", NAIVE), 6, 9),
    Goal("W3, by the naive proxy", _ratio("W3", NAIVE), 28, 35),
    Goal("W1, CPU s per 1,000 messages", _figure("W1", "cpu_ms"), 0.26, 0.15, at_most=True),
    Goal("W2, CPU s per 1,000 messages", _figure("W2", "cpu_ms"), 0.14, 0.085, at_most=True),
    Goal("W3, CPU ms per message", _figure("W3", "cpu_ms"), 11, 9, at_most=True),
    Goal("peak RSS in W1 to W3, MiB", _memory, 60, 60, at_most=True),
    Goal("an idle session, KiB", _idle, 12, 6, at_most=True),
    Goal("latency p50, by haproxy", _ratio("W5", HAPROXY, "p50_ms"), 1.5, 1.5, at_most=True),
    Goal("latency p99, by haproxy", _ratio("W5", HAPROXY, "p99_ms"), 2, 2, at_most=True),
    Goal("sessions refused and explained, by sessions accepted", _refusals, 0.7, 0.7),
    Goal("`relay run` until ready, CPU s", _start_up(UNTIL_READY), 0.7, 0.7, at_most=True),
    Goal("`relay explain 421`, CPU s", _start_up(EXPLAINED), 0.3, 0.3, at_most=True),
)
