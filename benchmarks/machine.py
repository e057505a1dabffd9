"""The machine in general terms: enough to judge a figure by, nothing that names it."""

from __future__ import annotations

import datetime as dt
import os
import platform
from pathlib import Path


def describe() -> dict[str, str]:
    """Kind and value."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "cores": str(os.cpu_count()),
        "memory": f"{_memory_gib():.0f} GiB",
        "kernel": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}, {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "load before": f"{os.getloadavg()[0]:.2f} (average of the last minute)",
    }


def _memory_gib() -> float:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return int(lines[0].split()[1]) / 1024 / 1024
