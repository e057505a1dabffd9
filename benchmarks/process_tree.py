"""What a process and all its descendants cost: CPU seconds and memory, read from /proc."""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_TICKS = os.sysconf("SC_CLK_TCK")
_SIZE = re.compile(r"^(Rss|Pss):\s+(\d+) kB", re.MULTILINE)
_SAMPLE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB of a process tree. RSS counts a page once for each process that has it, PSS shares it out among them."""

    rss: float = 0.0
    pss: float = 0.0

    def peak(self, other: Memory) -> Memory:
        """The larger of each."""
        return Memory(max(self.rss, other.rss), max(self.pss, other.pss))


def members(pid: int) -> list[int]:
    """The process and all its living descendants."""
    found, ahead = [], [pid]
    while ahead:
        one = ahead.pop()
        children = _children(one)
        if children is not None:
            found.append(one)
            ahead += children
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the tree, with the children that living members have already seen end."""
    return sum(map(_cpu_ticks, members(pid))) / _TICKS


def memory(pid: int) -> Memory:
    """What the tree occupies now."""
    sizes = {"Rss": 0, "Pss": 0}
    for one in members(pid):
        with suppress(OSError):
            for kind, size in _SIZE.findall(Path(f"/proc/{one}/smaps_rollup").read_text()):
                sizes[kind] += int(size)
    return Memory(sizes["Rss"] / 1024, sizes["Pss"] / 1024)


class PeakMemory:
    """Watches a tree while a block runs; `seen` is the most it occupied."""

    def __init__(self, pid: int) -> None:
        self.seen = Memory()
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.seen = self.seen.peak(memory(self._pid))
            if self._over.wait(_SAMPLE_SECONDS):
                return


def _children(pid: int) -> list[int] | None:
    """The children of all its threads; None where the process is gone."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except OSError:
        return None
    return found


def _cpu_ticks(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return sum(map(int, stat.rpartition(")")[2].split()[11:15]))  # utime, stime, cutime, cstime
