"""Where log events go: into lines at once, and from there by a thread to the file, so that no disk slows a client."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_WAITING_LINES = 20_000  # beyond it events are dropped and counted: a full disk must not cost memory, nor a mail
_STOP_SECONDS = 5.0
_GATHER_SECONDS = 0.1  # a thread that wakes for each event takes a third of the relay's time
_SWITCH_SECONDS = 0.0005  # while a thread waits for Python's lock (usually 0.005), each turn of the loop is costly

Event = dict[str, Any]


class LogWriter:
    """Writes events as lines, whole ones only, so that several processes may share a file.

    `put` never waits and never fails. It renders at once: a thread that did so would hold Python's one lock, and the
    client whose mail comes next would wait for that.
    """

    def __init__(self, render: Callable[[Event], bytes], file: Path | None) -> None:
        self._render = render
        self._path = file
        self._lines: deque[bytes] = deque()
        self._dropped = 0
        self._reopen = self._stopping = False
        self._wanted = threading.Event()
        self._descriptor = self._open()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        sys.setswitchinterval(_SWITCH_SECONDS)

    def put(self, event: Event) -> None:
        """Hand an event over."""
        if len(self._lines) >= _WAITING_LINES:
            self._dropped += 1
            return
        try:
            line = self._render(event)
        except (TypeError, ValueError) as error:  # a value that has no place in a line of the log
            line = self._render({"time": event["time"], "event": "unloggable", "what": ascii(event), "why": str(error)})
        self._lines.append(line)
        if not self._wanted.is_set():
            self._wanted.set()

    def reopen(self) -> None:
        """Open the file again by its name, after it was moved away (log rotation)."""
        self._reopen = True

    def stop(self) -> None:
        """Write what waits, then end."""
        self._stopping = True
        self._wanted.set()
        self._thread.join(_STOP_SECONDS)

    def _open(self) -> int:
        if self._path is None:
            return sys.stderr.fileno()
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def _run(self) -> None:
        while not self._stopping or self._lines:
            self._wanted.wait()
            if not self._stopping:
                time.sleep(_GATHER_SECONDS)
            self._wanted.clear()
            self._renew()
            lines = self._taken()
            try:
                self._write(lines)
            except OSError:  # a full disk, a closed pipe: the mail goes on, and the log tells later what it lacks
                self._dropped += len(lines)

    def _renew(self) -> None:
        if self._reopen and self._path is not None:
            self._reopen = False
            with suppress(OSError):  # the old file serves on
                fresh = self._open()
                os.close(self._descriptor)
                self._descriptor = fresh

    def _taken(self) -> list[bytes]:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if self._dropped:
            loss, self._dropped = {"event": "log_events_dropped", "count": self._dropped}, 0
            lines.append(self._render(_stamped(loss, "error")))
        return lines

    def _write(self, lines: list[bytes]) -> None:
        octets = b"".join(lines)
        while octets:
            octets = octets[os.write(self._descriptor, octets) :]


def start_log(*, style: str, file: Path | None, level: str) -> LogWriter:
    """Begin to log: structlog's events and those of Python's logging, as lines for people or as JSON for machines.

    Raises:
        OSError: the file cannot be opened.
    """
    writer = LogWriter(_json if style == "json" else _console(file), file)
    threshold = logging.getLevelNamesMapping()[level.upper()]

    def hand_over(_: Any, method: str, event: Any) -> Event:
        writer.put(_stamped(event, method))
        raise structlog.DropEvent

    structlog.configure(
        processors=[hand_over],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge(writer)]
    root.setLevel(logging.WARNING)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd writes command lines, addresses in them, at INFO
    return writer


class _Bridge(logging.Handler):
    """Python's own logging (of libraries, of bugs caught) goes the same way."""

    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        event = {"event": record.getMessage(), "logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            event["exception"] = logging.Formatter().formatException(record.exc_info)
        self._writer.put(_stamped(event, record.levelname.lower()))


def _stamped(event: Event, level: str) -> Event:
    return {"time": datetime.now(UTC), **event, "level": level}


def _json(event: Event) -> bytes:
    event["time"] = event["time"].isoformat(timespec="milliseconds")
    return orjson.dumps(event, default=str, option=orjson.OPT_APPEND_NEWLINE)


def _console(file: Path | None) -> Callable[[Event], bytes]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=file is None and sys.stderr.isatty(), timestamp_key="time", pad_event_to=0
    )

    def render(event: Event) -> bytes:
        event["time"] = event["time"].astimezone().strftime("%H:%M:%S")
        told = {key: value for key, value in event.items() if value not in (None, "")}
        return f"{renderer(None, '', told)}\n".encode("utf-8", "replace")

    return render
