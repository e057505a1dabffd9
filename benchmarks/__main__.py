"""`python -m benchmarks`: measures the relay and the programs beside it, and writes what it found."""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from benchmarks.course import PARTS, Course
from benchmarks.figures import Results
from benchmarks.generators import GENERATORS, usual
from benchmarks.machine import describe
from benchmarks.plot import draw
from benchmarks.programs import HERE, UnavailableError
from benchmarks.report import as_json, markdown
from benchmarks.rounds import Pace

if TYPE_CHECKING:
    from collections.abc import Sequence

_FULL = Pace(rounds=5, seconds=2.0, idle_sessions=1000)
_QUICK = Pace(rounds=1, seconds=0.4, idle_sessions=100)
_DESCRIPTORS = 65536


def main() -> None:
    """Measure, report, draw."""
    options = _options(sys.argv[1:])
    signal.signal(signal.SIGTERM, _end)  # so that what was started is stopped
    _allow_descriptors()
    with tempfile.TemporaryDirectory(prefix="relay-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the peers' own users must come in
        course = Course(_pace(options), folder, options.replies)
        results = _measure(course, options.only or list(PARTS))
    _write(results, options.output)


def _measure(course: Course, names: Sequence[str]) -> Results:
    results = Results({**describe(), "pace": str(course.pace)})
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            results = PARTS[name](course, results)
        except UnavailableError as error:
            results = results.without(name, str(error))
    return results


def _pace(options: argparse.Namespace) -> Pace:
    return replace(_QUICK if options.quick else _FULL, generator=options.generator)


def _write(results: Results, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    page = markdown(results)
    (folder / "results.md").write_text(page, "utf-8")
    (folder / "results.json").write_text(as_json(results), "utf-8")
    print(page)
    try:
        draw(results, folder / "results.svg")
    except ImportError:
        print("no picture: matplotlib is not installed (make bench installs it)", file=sys.stderr)
    print(f"written to {folder}", file=sys.stderr)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute, to see that all works; not to be quoted")
    parser.add_argument("--generator", choices=GENERATORS, default=usual(), help="of W1 to W3; here: %(default)s")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--replies", type=Path, metavar="TSV", help="look these replies up, not the book's examples")
    parser.add_argument(
        "--output", type=Path, default=HERE / "results", metavar="FOLDER", help="default: benchmarks/results"
    )
    return parser.parse_args(arguments)


def _allow_descriptors() -> None:
    """As many open files as this system lets us: a thousand sessions need two thousand in one process."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, _DESCRIPTORS), most))


def _end(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(143)


if __name__ == "__main__":
    main()
