"""The relay as its users run it: a program of its own, started, listened to, and stopped with SIGTERM."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .programs import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROGRAM = Path(sys.executable).with_name("relay")


@dataclass(frozen=True, slots=True)
class Relay:
    """The running relay: where it listens, and what it writes."""

    port: int
    log: Path
    diagnostics: Path  # its standard error

    def failures(self, count: int = 1) -> tuple[dict[str, Any], ...]:
        """Wait for at least this many refusals in the log, and return them all."""
        return self._events("relay_failure", count)

    def messages(self, count: int = 1) -> tuple[dict[str, Any], ...]:
        """Wait for at least this many passed messages in the log, and return them all."""
        return self._events("relay_message", count)

    def written(self) -> str:
        """Everything it has written so far, log and standard error."""
        return self.log.read_text() + self.diagnostics.read_text()

    def _events(self, event: str, count: int) -> tuple[dict[str, Any], ...]:
        def enough() -> tuple[dict[str, Any], ...] | None:
            found = tuple(line for line in _lines(self.log) if line["event"] == event)
            return found if len(found) >= count else None

        return wait_for(enough, f"{count} times {event} in the relay's log")


@contextmanager
def relay(
    directory: Path, *arguments: str, settings: Mapping[str, str] | None = None, port: int = 0
) -> Iterator[Relay]:
    """Run the relay until the block ends; it must stop when told to, with exit status 0.

    Args:
        directory: where its files go.
        arguments: what follows `relay run`: `--upstream URL` or `--practice`, and more.
        settings: each becomes `--set name=value`.
        port: where to listen; 0 lets the system choose.
    """
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} does not exist: the project is not installed here (make test does it)", pytrace=False)
    log, diagnostics = directory / "relay.log", directory / "relay.stderr"
    command = [str(PROGRAM), "run", "--listen", f"127.0.0.1:{port}", "--log-format", "json", "--log-file", str(log)]
    chosen = [part for name, value in (settings or {}).items() for part in ("--set", f"{name}={value}")]
    with diagnostics.open("wb") as stderr:
        process = subprocess.Popen(
            [*command, *arguments, *chosen],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            cwd=directory,
            env=_environment(),
        )
    try:
        yield Relay(wait_for(lambda: _ready_port(process, log, diagnostics), "the relay to be ready"), log, diagnostics)
        process.terminate()
        assert process.wait(timeout=10) == 0, diagnostics.read_text()
    finally:
        process.kill()
        process.wait()


def _ready_port(process: subprocess.Popen[bytes], log: Path, diagnostics: Path) -> int | None:
    for line in _lines(log):
        if line["event"] == "relay_ready":
            return int(line["listen"][0].rpartition(":")[2])
    if process.poll() is not None:
        pytest.fail(f"the relay ended with {process.returncode} instead of serving:\n{diagnostics.read_text()}")
    return None


def _lines(path: Path) -> tuple[dict[str, Any], ...]:
    """The JSON objects of a file that may still grow: whole lines only, other text passed over."""
    if not path.exists():
        return ()
    whole = path.read_text().rpartition("\n")[0].splitlines()
    return tuple(found for line in whole if line.startswith("{") and "event" in (found := json.loads(line)))


def _environment() -> dict[str, str]:
    """Ours without the settings a person may have made for a relay of his own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
