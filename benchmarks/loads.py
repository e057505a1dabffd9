"""One load on one way: sent by a generator, taken by smtpsink, and counted where it arrives."""

from __future__ import annotations

import base64
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.figures import Run
from benchmarks.generators import LoadError, Sent, smtp_source, smtpload
from benchmarks.peers import PASSWORD, USER, Target
from benchmarks.process_tree import PeakMemory, cpu_seconds
from benchmarks.programs import compiled, free_port, running, wait_for_server
from benchmarks.workloads import REFUSAL, Load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOGIN = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()  # AUTH PLAIN (RFC 4616)
_PATIENCE_SECONDS = 60  # for what is still on its way when everything is sent


@dataclass(frozen=True, slots=True)
class Sink:
    """Where everything arrives."""

    port: int

    def messages(self) -> int:
        """How many have arrived so far."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"HELP\r\nQUIT\r\n")
            heard = b"".join(iter(lambda: connection.recv(4096), b""))
        return int(heard.partition(b"\r\n214 ")[2].split()[0])


@dataclass(frozen=True, slots=True)
class Lane:
    """A load on a way, under the name it has in the tables."""

    name: str
    target: Target
    load: Load
    login: str = ""  # what the client logs in with
    messages: int = 0  # so many by smtp-source, where not 0


@contextmanager
def sink(folder: Path, login: str = "") -> Iterator[Sink]:
    """Run the sink; with a login it demands it."""
    folder.mkdir()
    port = free_port()
    with running((compiled("smtpsink"), str(port), REFUSAL, login), folder) as process:
        wait_for_server(process, port, folder)
        yield Sink(port)


def run(lane: Lane, sink: Sink, seconds: float) -> Run:
    """Send for so many seconds, or the lane's number of messages, until all have arrived.

    Raises:
        LoadError: a reply was not the expected one, or messages are missing.
    """
    pid = lane.target.pid
    arrived = sink.messages()
    spent = cpu_seconds(pid) if pid else 0.0
    with PeakMemory(pid or 0) as peak:
        sent = _send(lane, seconds)
        late = _wait_for(sink, arrived + sent.messages) if lane.load.arrives else 0.0
    return Run(
        messages=sent.messages,
        seconds=sent.seconds + late,
        cpu_seconds=cpu_seconds(pid) - spent if pid else 0.0,
        p50_ms=sent.p50_ms,
        p99_ms=sent.p99_ms,
        rss_mib=peak.seen.rss,
        pss_mib=peak.seen.pss,
    )


def _send(lane: Lane, seconds: float) -> Sent:
    if lane.messages:
        return smtp_source(lane.load, lane.target.port, lane.messages)
    return smtpload(lane.load, lane.target.port, seconds, lane.login)


def _wait_for(sink: Sink, expected: int) -> float:
    """Seconds until so many messages have arrived: none for whoever answers only after the sink has."""
    start = time.monotonic()
    arrived, waited = sink.messages(), 0.0
    while arrived < expected:
        if waited > _PATIENCE_SECONDS:
            raise LoadError(f"{expected - arrived} messages were taken and never arrived")
        time.sleep(0.01)
        arrived, waited = sink.messages(), time.monotonic() - start
    return waited
