"""What a running relay is told by signals, beside the end (SIGTERM, SIGINT)."""

from __future__ import annotations

import signal

RELOAD = signal.SIGHUP  # read settings and book again, and open the log file anew
REOPEN = signal.SIGUSR2  # open the log file anew, and nothing else
HELD = frozenset({RELOAD, REOPEN})  # blocked from the start until somebody listens: until then they would kill
