"""What the spool costs, beside Postfix's queue: messages a second taken in (on the disk) and delivered afterwards.

    python -m benchmarks.spool [--messages 2000] [--rounds 3]

In each round each way takes so many messages of 1 KiB, 20 sessions at once, one message a connection, while its
upstream is down; then the upstream is up, and all are delivered over at most 20 connections. Taken in counts from the
first connection to the last 250; delivered from the first arrival to the last. Ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Comparison, Run
from benchmarks.generators import LoadError, smtp_source
from benchmarks.loads import Sink
from benchmarks.peers import POSTFIX_QUEUE, Peer, Target, serving
from benchmarks.programs import UnavailableError, compiled, find, free_port, running, wait_for_server
from benchmarks.workloads import REFUSAL, Load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOAD = Load("1 KiB, one message a connection, 20 at once")
CONNECTIONS = 20
PATIENCE_SECONDS = 300
SQLITE, POSTGRESQL, POSTFIX = "relay, SQLite", "relay, PostgreSQL", "Postfix queue"

_SPOOL = (
    *("--set", "retry.mode=spool", "--set", f"retry.spool.concurrency={CONNECTIONS}"),
    *("--set", "retry.spool.first=3600", "--set", "database.url=$database"),
)
_RELAY = Peer(
    "relay",
    (
        *(sys.executable, "-m", "relay", "run", "--listen", "127.0.0.1:$port", "--log-format", "json"),
        *("--log-file", "$folder/relay.log", "--upstream", "smtp+plain://127.0.0.1:$upstream", *_SPOOL),
    ),
)
_POSTFIX = Peer(POSTFIX, POSTFIX_QUEUE.command, "postfix_spool", "postfix", POSTFIX_QUEUE.prepare)


@dataclass(frozen=True, slots=True)
class Way:
    """Somebody who keeps mail: where it is sent to, and how he is told to deliver now."""

    target: Target
    release: Callable[[], None]


def main() -> None:
    """Measure, and print the tables."""
    options = _options()
    taken: dict[str, list[Run]] = {}
    delivered: dict[str, list[Run]] = {}
    unavailable: dict[str, str] = {}
    names = [SQLITE, POSTGRESQL, POSTFIX]
    for number in range(options.rounds):
        for name in names[number % 3 :] + names[: number % 3]:
            try:
                one, two = _measured(name, options.messages)
            except UnavailableError as error:
                unavailable[name] = str(error)
                continue
            taken.setdefault(name, []).append(one)
            delivered.setdefault(name, []).append(two)
            print(f"round {number + 1}, {name}: {one.rate:.0f}/s taken in, {two.rate:.0f}/s delivered", flush=True)
    _print("taken in", taken)
    _print("delivered", delivered)
    for name, why in unavailable.items():
        print(f"{name} was not measured: {why}")


def _measured(name: str, messages: int) -> tuple[Run, Run]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="relay-spool-")))
        folder.chmod(0o755)
        upstream = free_port()
        way = stack.enter_context(_WAYS[name](upstream, folder))
        sent = smtp_source(LOAD, way.target.port, messages)
        with _sink(upstream, folder) as sink:
            way.release()
            return Run(sent.messages, sent.seconds), _arrivals(sink, sent.messages)


def _arrivals(sink: Sink, messages: int) -> Run:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (first := sink.messages()) and time.monotonic() < deadline:
        time.sleep(0.005)
    start = time.monotonic()
    while (arrived := sink.messages()) < messages and time.monotonic() < deadline:
        time.sleep(0.005)
    if arrived != messages:
        raise LoadError(f"{messages} messages were kept, and {arrived} arrived")
    return Run(messages - first, time.monotonic() - start)


@contextmanager
def _sink(port: int, folder: Path) -> Iterator[Sink]:
    room = folder / "sink"
    room.mkdir()
    with running((compiled("smtpsink"), str(port), REFUSAL, ""), room) as process:
        wait_for_server(process, port, room)
        yield Sink(port)


@contextmanager
def _relay(upstream: int, folder: Path, database: str) -> Iterator[Way]:
    with serving(_RELAY, upstream, folder / "relay", {"database": database}) as target:
        command = (sys.executable, "-m", "relay", "queue", "retry", "--all", "--set", f"database.url={database}")
        yield Way(target, lambda: _run(*command))


@contextmanager
def _with_sqlite(upstream: int, folder: Path) -> Iterator[Way]:
    with _relay(upstream, folder, f"sqlite:///{folder}/spool.db") as way:
        yield way


@contextmanager
def _with_postgresql(upstream: int, folder: Path) -> Iterator[Way]:
    with _postgresql(folder) as database, _relay(upstream, folder, database) as way:
        yield way


@contextmanager
def _postfix(upstream: int, folder: Path) -> Iterator[Way]:
    with serving(_POSTFIX, upstream, folder / "postfix", {}) as target:
        etc = folder / "postfix"

        def release() -> None:
            settings = (etc / "main.cf").read_text()
            (etc / "main.cf").write_text(settings.replace("defer_transports = smtp\n", ""))
            _wait_until_deferred(etc / "queue" / "deferred")
            _run(find("postfix", "Debian: postfix"), "-c", str(etc), "reload")
            _run(find("postqueue", "Debian: postfix"), "-c", str(etc), "-f")

        yield Way(target, release)


def _wait_until_deferred(queue: Path) -> None:
    """Wait for Postfix to put aside what it has taken: a message it still has in hand would miss the flush."""
    before, deadline = -1, time.monotonic() + 60
    while time.monotonic() < deadline:
        count = sum(path.is_file() for path in queue.rglob("*"))
        if count and count == before:
            return
        before = count
        time.sleep(1.5)


@contextmanager
def _postgresql(folder: Path) -> Iterator[str]:
    """A server of our own, as it is installed by default: its commits wait for the disk."""
    room = folder / "postgresql"
    room.mkdir()
    shutil.chown(room, "nobody")
    _run(*_as_nobody(_of_postgresql("initdb"), "-D", str(room / "data"), "-U", "relay", "-A", "trust", "-N"))
    options = ("-k", str(room), "-c", "listen_addresses=", "-c", "max_connections=60")
    with running(_as_nobody(_of_postgresql("postgres"), "-D", str(room / "data"), *options), room):
        ready = _as_nobody(_of_postgresql("pg_isready"), "-h", str(room), "-U", "relay")
        deadline = time.monotonic() + 20
        while subprocess.run(ready, capture_output=True, check=False).returncode and time.monotonic() < deadline:
            time.sleep(0.05)
        yield f"postgresql://relay@localhost/postgres?host={room}"


def _of_postgresql(name: str) -> str:
    for found in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True):
        return str(found)
    return find(name, "postgresql")


def _as_nobody(*command: str) -> tuple[str, ...]:
    if os.geteuid() != 0:
        return command
    user = pwd.getpwnam("nobody")
    return ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *command)


_WAYS = {SQLITE: _with_sqlite, POSTGRESQL: _with_postgresql, POSTFIX: _postfix}


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", timeout=120)
    if done.returncode:
        raise UnavailableError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()[-300:]}")


def _print(title: str, runs: dict[str, list[Run]]) -> None:
    compared = Comparison(title, {name: tuple(found) for name, found in runs.items()})
    print(f"\n{title:<20} {'messages a second':>28}   beside Postfix's queue, in the same round")
    for name in compared.runs:
        rate = compared.figure(name, lambda run: run.rate)
        beside = compared.ratio(name, POSTFIX, lambda run: run.rate) if POSTFIX in runs else None
        ratio = f"{beside.median:.2f} ({beside.min:.2f} to {beside.max:.2f})" if beside else ""
        print(f"{name:<20} {rate.median:>10.0f} ({rate.min:.0f} to {rate.max:.0f})   {ratio}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The spool beside Postfix's queue.")
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
