"""The results as a picture: each way's share of the direct rate, and its latency. Home of matplotlib."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from benchmarks.goals import DIRECT, RELAY

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.figures import Comparison, Results

    Quantity = Any

_OURS, _OTHERS = "#1f6feb", "#8c959f"


def draw(results: Results, file: Path) -> None:
    """Write the picture.

    Raises:
        ImportError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure as Picture  # noqa: PLC0415 -- the one user of a large library

    shown = [name for name in ("W1", "W2", "W3", "W5") if name in results.comparisons]
    if not shown:
        return
    picture = Picture(figsize=(11, 2.6 * len(shown)), layout="constrained")
    for number, name in enumerate(shown, 1):
        axes = picture.add_subplot(len(shown), 1, number)
        found = results.comparisons[name]
        if name == "W5":
            _bars(axes, found, attrgetter("p50_ms"), None)
            axes.set_xscale("log")
            axes.set_xlabel("milliseconds (median, from min to max; less is better)")
        else:
            _bars(axes, found, attrgetter("rate"), DIRECT)
            axes.set_xlabel("share of the direct rate (median, from min to max; more is better)")
        axes.set_title(found.title, loc="left", fontsize=10)
    picture.savefig(file, metadata={"Date": None})  # the results say when


def _bars(axes: Any, found: Comparison, quantity: Quantity, yardstick: str | None) -> None:
    names = [way for way in found.runs if way != yardstick]
    figures = [found.ratio(way, yardstick, quantity) if yardstick else found.figure(way, quantity) for way in names]
    medians = [one.median for one in figures]
    spread = [[one.median - one.min for one in figures], [one.max - one.median for one in figures]]
    colours = [_OURS if way.startswith(RELAY) else _OTHERS for way in names]
    axes.barh(names, medians, xerr=spread, color=colours, error_kw={"elinewidth": 1})
    axes.bar_label(axes.containers[-1], fmt="%.2f", padding=6, fontsize=8)
    axes.invert_yaxis()
