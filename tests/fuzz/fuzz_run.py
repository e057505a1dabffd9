"""The long run, `make fuzz`: what was tried, and how many crashes and violations there were; ends with 1 if any.

    python tests/fuzz/fuzz_run.py [--minutes 20] [--seed 1] [--only scanner dialogue messages replies ...]

Scanner and messages are of a fixed size (some minutes each); the rest of the time goes to the dialogue and the targets.
Targets run under atheris where it is installed, which finds its way into new code; otherwise hypothesis makes inputs
of the kept ones. What breaks something is printed, and kept in the folder that is named then.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

_HERE = Path(__file__).parent
_UNITS = re.compile(rb"number_of_executed_units: (\d+)")
_MESSAGES = 100_000


class Result(NamedTuple):
    """One line of the table."""

    name: str
    tried: str
    wrong: int
    why: str = ""


def main() -> None:
    """Run all, or what --only names."""
    from fuzz_targets import TARGETS  # noqa: PLC0415 -- they run in processes of their own

    names = ("scanner", "dialogue", "messages", *TARGETS)
    parser = argparse.ArgumentParser(description="the long fuzz run")
    parser.add_argument("--minutes", type=float, default=20, help="for the dialogue and the targets together")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", nargs="*", choices=names, default=names)
    given = parser.parse_args()
    chosen = [name for name in names if name in given.only]
    share = max(1, round(given.minutes * 60 / (3 + sum(name in TARGETS for name in chosen))))
    _say(f"seed {given.seed}; {share} s for each target, {3 * share} s for the dialogue")
    results = []
    for name in chosen:
        results.append(_run(name, share, given.seed))
        _say("{:<14}{:<52}{:>3} wrong {}".format(*results[-1]))
    wrong = sum(result.wrong for result in results)
    _say(f"crashes and violations: {wrong}")
    sys.exit(wrong > 0)


def _run(name: str, seconds: int, seed: int) -> Result:
    match name:
        case "scanner":
            return _scanner()
        case "messages":
            return _messages(seed)
        case "dialogue":
            return _dialogue(3 * seconds, seed)
    return _under_atheris(name, seconds) if importlib.util.find_spec("atheris") else _under_hypothesis(name, seconds)


def _scanner() -> Result:
    from fuzz_scanner import run_all  # noqa: PLC0415 -- only where it is run

    count = run_all()
    return Result("scanner", f"{count.strings} messages in {count.runs} cuts", count.differences, count.first)


def _messages(seed: int) -> Result:
    from fuzz_mass import run  # noqa: PLC0415 -- only where it is run

    outcome = run(_MESSAGES, seed)
    _say(str(outcome))
    tried = f"{outcome.sent} messages, {outcome.hostile} met hostility"
    return Result("messages", tried, outcome.false_successes + outcome.changed + outcome.twice, outcome.first)


def _dialogue(seconds: int, seed: int) -> Result:
    """Rounds of dialogues, each with a seed of its own, until the time is over or one fails."""
    ends, rounds, played = time.monotonic() + seconds, 0, 500
    while time.monotonic() < ends:
        failed = _pytest("test_fuzz_dialogue.py", {"FUZZ_DIALOGUES": str(played)}, seed + rounds)
        rounds += 1
        if failed:
            return Result("dialogue", f"{rounds * played} dialogues of 50 steps", 1, failed)
    return Result("dialogue", f"{rounds * played} dialogues of 50 steps", 0)


def _under_hypothesis(name: str, seconds: int) -> Result:
    ends, rounds, made = time.monotonic() + seconds, 0, 1500
    while time.monotonic() < ends:
        failed = _pytest("test_fuzz_targets.py", {"FUZZ_EXAMPLES": str(made), "FUZZ_TARGET": name}, rounds)
        rounds += 1
        if failed:
            return Result(name, f"about {rounds * made} inputs", 1, failed)
    return Result(name, f"about {rounds * made} inputs", 0)


def _pytest(file: str, environment: dict[str, str], seed: int) -> str:
    """Run one file of tests; its words if it fails."""
    only = ["-k", f"made_of and {environment['FUZZ_TARGET']}"] if "FUZZ_TARGET" in environment else []
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--timeout=0", f"--hypothesis-seed={seed}", *only]
    done = subprocess.run([*command, str(_HERE / file)], env=os.environ | environment, capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace") if done.returncode else ""


def _under_atheris(name: str, seconds: int) -> Result:
    folder = tempfile.mkdtemp(prefix=f"fuzz-{name}-")
    command = [sys.executable, str(_HERE / "fuzz_atheris.py"), name, str(seconds), folder]
    done = subprocess.run(command, capture_output=True, check=False)
    found = _UNITS.search(done.stderr)
    tried = f"{int(found[1]) if found else 0} inputs"
    if done.returncode == 0:
        return Result(name, tried, 0)
    said = done.stderr.decode("utf-8", "replace")
    why = said.partition("Uncaught Python exception")[2] or said[-4000:]
    return Result(name, tried, 1, f"in {folder}:\n{why[:4000]}")


def _say(line: str) -> None:
    print(line.rstrip(), flush=True)


if __name__ == "__main__":
    main()
