"""Who sends: smtpload, the project's own, which knows latencies, logins and refusals; or smtp-source, Postfix's.

Shares of the direct rate depend on the generator, for it uses the same cores: the faster it is, the larger is the part
of each message that the relay in between has. smtp-source is the one that others can repeat.
"""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.programs import compiled, find, installed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.workloads import Load

GENERATORS = ("smtpload", "smtp-source")

_PATIENCE_SECONDS = 60  # for one load beyond its own time
_LARGE = 1024 * 1024  # octets; smtp-source sends such messages one after the other, however many sessions it has


class LoadError(Exception):
    """A load did not go through; the words say where it broke off."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a generator says of its load; without latencies where it does not know them."""

    messages: int
    seconds: float
    p50_ms: float = 0.0
    p99_ms: float = 0.0


def usual() -> str:
    """What sends W1 to W3 where nobody has chosen: smtp-source, for which the goals are set, if it is here."""
    return "smtp-source" if installed("smtp-source") else "smtpload"


def smtpload(load: Load, port: int, seconds: float, login: str = "") -> Sent:
    """Send for so many seconds.

    Raises:
        LoadError: a reply was not the expected one.
    """
    command = [compiled("smtpload"), str(port), "-w", str(seconds), "-t", load.recipient]
    command += ["-s", str(load.sessions), "-l", str(load.length)]
    command += ["-k"] if load.kept else []
    command += ["-x", load.ends_at_rcpt] if load.ends_at_rcpt else []
    command += ["-a", login] if login else []
    (said,) = _run([command], seconds)
    return Sent(**json.loads(said))


def smtp_source(load: Load, port: int, messages: int) -> Sent:
    """Send so many messages, large ones from a process for each session.

    Raises:
        LoadError: a reply was not the expected one.
        UnavailableError: it is not installed.
    """
    processes = load.sessions if load.length >= _LARGE else 1
    each = max(load.sessions, messages) // processes
    command = [find("smtp-source", "Debian: postfix"), "-s", str(load.sessions // processes), "-m", str(each)]
    command += ["-l", str(load.length), "-f", "sender@example.com", "-t", load.recipient]
    command += ["-M", "client.example.com"] + (["-d"] if load.kept else []) + [f"127.0.0.1:{port}"]
    start = time.perf_counter()
    _run([command] * processes, 0)
    return Sent(each * processes, time.perf_counter() - start)


def _run(commands: Sequence[Sequence[str]], seconds: float) -> list[str]:
    """What each of these printed, run at once."""
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, text=True, stdout=pipe, stderr=pipe) for command in commands]
    deadline = time.monotonic() + seconds + _PATIENCE_SECONDS
    try:
        return [_ended(process, deadline) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()


def _ended(process: subprocess.Popen[str], deadline: float) -> str:
    try:
        said, complained = process.communicate(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise LoadError("the load did not end in its time") from None
    if process.returncode:
        raise LoadError(complained.strip()[-300:] or f"the generator ended with {process.returncode}")
    return said
