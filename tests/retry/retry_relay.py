"""The relay as a process that can be killed and started again on the same port, and mail sent to it."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

QUICK = {"first": "0.3", "longest": "1", "lease": "2"}  # of retry.spool, so that a test need not wait


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], T | None], what: str, seconds: float = 30) -> T:
    """Ask until the condition gives something true, and return it; past `seconds`, fail saying what was awaited."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)  # the pace of asking, not a guess at how long it takes
    pytest.fail(f"waited {seconds:g} s for {what}, in vain")


@dataclass(slots=True)
class Relay:
    """One relay. `settings` are as for --set."""

    directory: Path
    upstream: str
    settings: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.directory / f"relay-{self.port}.log"

    def start(self) -> Relay:
        """Start it, and wait until it serves."""
        command = [sys.executable, "-m", "relay", "run"]
        command += [] if "listen" in self.settings else ["--listen", f"127.0.0.1:{self.port}"]
        command += ["--upstream", self.upstream, "--log-format", "json", "--log-file", str(self.log)]
        command += [part for name, value in self.settings.items() for part in ("--set", f"{name}={value}")]
        with (self.directory / f"relay-{self.port}.stderr").open("ab") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, cwd=self.directory, env=_environment()
            )
        wait_for(self._serves, "the relay to serve")
        return self

    def kill(self) -> None:
        """SIGKILL: nothing is tidied up."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """SIGTERM; it must end by itself with status 0."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(30) == 0, self.errors()

    def reload(self) -> None:
        """SIGHUP, and wait until it is heard."""
        assert self.process is not None
        heard = len(self.events("reloaded"))
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(self.events("reloaded")) > heard, "the reload")

    def errors(self) -> str:
        return (self.directory / f"relay-{self.port}.stderr").read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of that name in its log, over all its lives."""
        return [event for event in self._logged() if event["event"] == name]

    def client(self, seconds: float = 30) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.port, timeout=seconds, local_hostname="client.test")

    def send(self, to: str | list[str], text: str = "hello", sender: str = "anna@a.test") -> None:
        """Send a mail; raises as smtplib does."""
        with self.client() as client:
            client.sendmail(sender, to, f"Subject: {text}\r\n\r\n{text}\r\n")

    def queue(self, *arguments: str) -> Any:
        """What `relay queue ... --json` prints."""
        chosen = [part for name, value in self.settings.items() for part in ("--set", f"{name}={value}")]
        command = [sys.executable, "-m", "relay", "queue", *arguments, "--json", *chosen]
        done = subprocess.run(
            command, cwd=self.directory, env=_environment(), capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def _serves(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            pytest.fail(f"the relay ended with {self.process.returncode}:\n{self.errors()}", pytrace=False)
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as client:
                return client.recv(3) == b"220"
        except OSError:
            return False

    def _logged(self) -> Iterator[dict[str, Any]]:
        """A life that was killed may have left half a line."""
        for line in self.log.read_text().splitlines() if self.log.exists() else ():
            if line.startswith("{") and line.endswith("}"):
                yield json.loads(line)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
