"""The relay as a process of its own, run with a settings file on ports the system chooses."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
Settings = dict[str, Any]
_LISTEN = re.compile(r"listen\W+(.*?)upstream")
_ADDRESS = re.compile(r"(\d+\.\d+\.\d+\.\d+):(\d+)")


@dataclass(frozen=True, slots=True)
class Relay:
    """The running relay: its process, where it listens (one address per listener), its files."""

    process: subprocess.Popen[bytes]
    addresses: tuple[tuple[str, int], ...]
    config: Path
    log: Path
    stderr: Path

    def events(self, name: str, count: int = 1) -> tuple[dict[str, Any], ...]:
        """Wait for at least this many events of a JSON log, and return all of that name."""

        def enough() -> tuple[dict[str, Any], ...] | None:
            found = tuple(event for event in events_in(self.log) if event["event"] == name)
            return found if len(found) >= count else None

        return wait_for(enough, f"{count} times {name} in the log")

    def memory(self) -> int:
        """Octets of main memory in use (VmRSS)."""
        return _status_octets(self.process.pid, "VmRSS")

    def memory_peak(self) -> int:
        """The most it ever used since the last `forget_peak` (VmHWM)."""
        return _status_octets(self.process.pid, "VmHWM")

    def forget_peak(self) -> None:
        """Let `memory_peak` begin at what is used now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


def wait_for(condition: Callable[[], T | None], what: str, seconds: float = 8) -> T:
    """Ask until the condition gives something true, and return it; past `seconds`, fail saying what was awaited."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)  # the pace of asking, not a guess at how long it takes
    pytest.fail(f"waited {seconds:g} s for {what}, in vain")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def write_settings(path: Path, settings: Settings) -> None:
    """Write a settings file (JSON is YAML)."""
    path.write_text(json.dumps(settings))


@contextmanager
def run_relay(directory: Path, settings: Settings, before: str = "") -> Iterator[Relay]:
    """Run the relay until the block ends; a relay that is still there then must stop on SIGTERM with exit status 0.

    Args:
        directory: where its files go.
        settings: the settings file; listener, hostname and log have defaults here.
        before: Python that runs in its process first, to shorten a wait that is no setting.
    """
    log, stderr, config = directory / "relay.log", directory / "relay.stderr", directory / "relay.yaml"
    given = {"hostname": "relay.example", "listen": [{"address": "127.0.0.1:0"}], **settings}
    write_settings(config, {"log": {"format": "json", "file": str(log)}, **given})
    program = ["-c", f"{before}\nfrom relay.cli import main\nmain()"] if before else ["-m", "relay"]
    with stderr.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, *program, "run", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            env={name: value for name, value in os.environ.items() if not name.startswith("RELAY_")},
        )
    try:
        yield Relay(process, wait_for(lambda: _ready(process, stderr), "relay_ready"), config, log, stderr)
        if process.returncode is None:  # else the test has waited for its end itself
            process.terminate()
            assert process.wait(timeout=10) == 0, stderr.read_text()
    finally:
        process.kill()
        process.wait()


def _ready(process: subprocess.Popen[bytes], stderr: Path) -> tuple[tuple[str, int], ...] | None:
    text = stderr.read_text()
    ready = next((line for line in text.splitlines() if "relay_ready" in line), "")
    if found := _LISTEN.search(ready):
        return tuple((host, int(port)) for host, port in _ADDRESS.findall(found[1]))
    if process.poll() is not None:
        pytest.fail(f"the relay ended with {process.returncode} instead of serving:\n{text}", pytrace=False)
    return None


def events_in(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a JSON log, whole lines only."""
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    return (json.loads(line) for line in whole.splitlines())


def _status_octets(pid: int, name: str) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024
