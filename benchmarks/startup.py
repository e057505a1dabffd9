"""What it costs to start: CPU seconds of `relay run` until it serves, and of `relay explain 421` to its end."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from benchmarks.figures import Figure
from benchmarks.goals import EXPLAINED, UNTIL_READY
from benchmarks.process_tree import cpu_seconds
from benchmarks.programs import UnavailableError

if TYPE_CHECKING:
    from pathlib import Path

_RUN = ("run", "--listen", "127.0.0.1:0", "--upstream", "smtp+plain://127.0.0.1:9", "--log-format", "json")


def measure(relay: tuple[str, ...], times: int, folder: Path) -> dict[str, Figure]:
    """Start each so many times, once more beforehand, for the files to be in memory. `relay` is the program."""
    log = folder / "startup.log"
    ready = [_until_ready((*relay, *_RUN, "--log-file", str(log)), folder) for _ in range(times + 1)][1:]
    explained = [_to_the_end((*relay, "explain", "421"), folder) for _ in range(times + 1)][1:]
    return {UNTIL_READY: Figure.of(ready), EXPLAINED: Figure.of(explained)}


def _until_ready(command: tuple[str, ...], folder: Path) -> float:
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        try:
            for line in process.stderr:
                if "relay_ready" in line:
                    return cpu_seconds(process.pid)
        finally:
            process.terminate()
    raise UnavailableError("the relay ended before it was ready")


def _to_the_end(command: tuple[str, ...], folder: Path) -> float:
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UnavailableError(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime
