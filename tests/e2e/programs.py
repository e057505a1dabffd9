"""What the tests need of the machine: programs, root's rights, free ports, and waiting for a condition."""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, NoReturn, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))


def unavailable(reason: str) -> NoReturn:
    """Skip the test with its reason; where REQUIRE_E2E=required (as in CI), a missing part is a failure."""
    if os.environ.get("REQUIRE_E2E") == "required":
        pytest.fail(f"REQUIRE_E2E=required, but {reason}", pytrace=False)
    pytest.skip(reason)


def program(name: str) -> str:
    """The full path of an installed program; without it the test is unavailable."""
    return shutil.which(name, path=SEARCH_PATH) or unavailable(
        f"{name} is not installed (.ci/install-system-packages does it)"
    )


@functools.cache
def as_root() -> tuple[str, ...]:
    """What to write before a command that needs root: nothing for root himself, else sudo.

    Postfix's master insists on root: it starts its services under users of their own.
    """
    if os.geteuid() == 0:
        return ()
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return (sudo, "-n")
    unavailable("Postfix and Dovecot start as root only, and this is neither root nor is there a sudo without password")


def run_as_root(*command: str) -> str:
    """Run a command as root to its end and return what it printed; a failure carries that output."""
    done = subprocess.run([*as_root(), *command], capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def free_ports(count: int) -> tuple[int, ...]:
    """Ports of loopback that nothing uses now; taken together, so that no two are the same."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = tuple(probe.getsockname()[1] for probe in probes)
    for probe in probes:
        probe.close()
    return ports


def wait_for(condition: Callable[[], T | None], what: str, seconds: float = 15) -> T:
    """Ask until the condition gives something true, and return it; past `seconds`, fail saying what was awaited."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)  # the pace of asking, not a guess at how long it takes
    pytest.fail(f"waited {seconds:g} s for {what}, in vain", pytrace=True)
