"""The programs of a run: found, compiled, started, stopped, and where they find a free port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
_DAEMONS = ("/usr/lib/postfix/sbin", "/usr/libexec/postfix")
_SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin", *_DAEMONS))
_START_SECONDS = 20
_STOP_SECONDS = 5


class UnavailableError(Exception):
    """Something cannot be measured on this machine; the words say why, and what would help."""


def installed(name: str) -> str | None:
    """The full path of a program, None where there is none."""
    return shutil.which(name, path=_SEARCH_PATH)


def find(name: str, source: str) -> str:
    """The full path of an installed program.

    Raises:
        UnavailableError: it is not installed.
    """
    if found := installed(name):
        return found
    raise UnavailableError(f"{Path(name).name} is not installed ({source})")


def run_to_end(*command: str) -> None:
    """Run a command that prepares something.

    Raises:
        UnavailableError: it failed; the words are its own.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-300:]}")


def compiled(name: str) -> str:
    """The program made of `name`.c, compiled anew where its source is younger.

    Raises:
        UnavailableError: there is no C compiler, or it fails.
    """
    source, program = HERE / f"{name}.c", CACHE / name
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        CACHE.mkdir(exist_ok=True)
        run_to_end(find("cc", "Debian: gcc"), "-O2", "-Wall", "-Wextra", "-o", str(program), str(source))
    return str(program)


def free_port() -> int:
    """A port of loopback that nothing uses now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in the foreground, its output in `folder`/output; at the end it and its children are stopped."""
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def wait_for_server(process: subprocess.Popen[bytes], port: int, folder: Path, *, greets: bool = True) -> None:
    """Wait until an SMTP server greets on the port, or (where TLS comes first) takes connections.

    Raises:
        UnavailableError: the program ended, or nobody answers in time; the words are the last it printed.
    """
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as connection:
            if not greets:
                return
            if connection.recv(512).startswith(b"220"):
                connection.sendall(b"QUIT\r\n")
                return
        time.sleep(0.05)
    raise UnavailableError(f"it does not start: {_last_words(folder)}")


def _last_words(folder: Path) -> str:
    """The last lines it printed that are not merely a frame around words."""
    lines = (folder / "output").read_text("utf-8", "replace").splitlines()
    told = [" ".join(line.split()) for line in lines if any(map(str.isalpha, line))]
    return " / ".join(told[-2:])[-300:] or "it printed nothing"


def _environment() -> dict[str, str]:
    """Ours without the settings a person may have made for a relay of his own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # the group is ours alone: it was made with the process
    process.wait(_STOP_SECONDS)
