"""A PostgreSQL of the tests' own: the system's programs, an unprivileged user, a folder that vanishes."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from retry_relay import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

_USER = "nobody"  # initdb refuses to run as root
_NUMBERS = itertools.count()


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a server until the block ends; its URL, with the database `postgres`."""
    initdb, server = _program("initdb"), _program("postgres")
    folder = Path(tempfile.mkdtemp(prefix="relay-pg-"))
    data = folder / "data"
    process = None
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _USER)
        _run(initdb, "-D", str(data), "-U", "relay", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        options = ("-k", str(folder), "-c", "listen_addresses=", "-c", "max_connections=60")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                _as_user(server, "-D", str(data), *options), stdout=log, stderr=subprocess.STDOUT, cwd=folder
            )
        _await_server(folder, process)
        yield f"postgresql://relay@localhost/postgres?host={folder}"
    finally:
        if process is not None:
            process.terminate()
            process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def new_database(url: str) -> str:
    """An empty database on the server; its URL."""
    name, folder = f"spool{next(_NUMBERS)}", url.rpartition("host=")[2]
    _run(_program("createdb"), "-h", folder, "-U", "relay", name)
    return f"postgresql://relay@localhost/{name}?host={folder}"


def _await_server(folder: Path, process: subprocess.Popen[bytes]) -> None:
    ready = _as_user(_program("pg_isready"), "-h", str(folder), "-U", "relay")

    def answers() -> bool:
        if process.poll() is not None:
            pytest.fail(f"PostgreSQL ended with {process.returncode}:\n{(folder / 'log').read_text()}")
        return subprocess.run(ready, capture_output=True, check=False, cwd=folder).returncode == 0

    wait_for(answers, "PostgreSQL to be ready")


def _run(*command: str) -> None:
    done = subprocess.run(_as_user(*command), capture_output=True, text=True, check=False, cwd="/", timeout=60)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"


def _as_user(*command: str) -> list[str]:
    if os.geteuid() != 0:
        return list(command)
    user = pwd.getpwnam(_USER)
    setpriv = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [*setpriv, *command]


def _program(name: str) -> str:
    found = shutil.which(name) or next(
        map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), ""
    )
    return found or _unavailable(f"{name} of PostgreSQL is not installed (.ci/install-system-packages does it)")


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("REQUIRE_E2E") == "required":
        pytest.fail(f"REQUIRE_E2E=required, but {reason}", pytrace=False)
    pytest.skip(reason)
