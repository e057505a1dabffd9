"""Where log events go: onto a queue at once, and from there by a thread to the file, so that no disk slows a client."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

import orjson
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from pathlib import Path

_QUEUED_EVENTS = 20_000  # beyond it events are dropped and counted: a full disk must not cost memory, nor a mail
_STOP_SECONDS = 5.0
_GATHER_SECONDS = 0.03  # a thread that wakes for each event takes a third of the relay's time

Event = dict[str, Any]


class LogWriter:
    """A thread that writes events. `put` never waits and never fails."""

    def __init__(self, render: Callable[[Event], str], file: Path | None) -> None:
        self._render = render
        self._path = file
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._dropped = 0
        self._reopen = False
        self._out: IO[str] = self._open()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Hand an event over."""
        if self._queue.qsize() >= _QUEUED_EVENTS:
            self._dropped += 1
        else:
            self._queue.put(event)

    def reopen(self) -> None:
        """Open the file again by its name, after it was moved away (log rotation)."""
        self._reopen = True

    def stop(self) -> None:
        """Write what is queued, then end."""
        self._queue.put(None)
        self._thread.join(_STOP_SECONDS)

    def _open(self) -> IO[str]:
        return sys.stderr if self._path is None else self._path.open("a", encoding="utf-8", buffering=1 << 16)

    def _run(self) -> None:
        running = True
        while running:
            events = [self._queue.get()]
            time.sleep(_GATHER_SECONDS)
            events += [self._queue.get() for _ in range(self._queue.qsize())]
            running = None not in events
            for event in filter(None, events):
                with suppress(OSError, ValueError):  # a full disk, a closed pipe: the mail goes on
                    self._write(event)
            with suppress(OSError, ValueError):
                self._out.flush()

    def _write(self, event: Event) -> None:
        if self._reopen and self._path is not None:
            self._reopen = False
            self._out.close()
            self._out = self._open()
        if self._dropped:
            event_of_loss = _stamped({"event": "log_events_dropped", "level": "error", "count": self._dropped})
            self._dropped = 0
            self._out.write(self._render(event_of_loss) + "\n")
        self._out.write(self._render(event) + "\n")


def start_log(*, style: str, file: Path | None, level: str) -> LogWriter:
    """Begin to log: structlog's events and those of Python's logging, as lines for people or as JSON for machines.

    Raises:
        OSError: the file cannot be opened.
    """
    writer = LogWriter(_json if style == "json" else _console(file), file)
    threshold = logging.getLevelNamesMapping()[level.upper()]

    def hand_over(_: Any, __: str, event: MutableMapping[str, Any]) -> Event:
        writer.put(dict(event))
        raise structlog.DropEvent

    structlog.configure(
        processors=[_leveled, hand_over],
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
        event = {"event": record.getMessage(), "level": record.levelname.lower(), "logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            event["exception"] = logging.Formatter().formatException(record.exc_info)
        self._writer.put(_stamped(event))


def _leveled(_: Any, method: str, event: MutableMapping[str, Any]) -> Event:
    return _stamped({**event, "level": method})


def _stamped(event: Event) -> Event:
    return {"time": datetime.now(UTC), **event}


def _json(event: Event) -> str:
    event["time"] = event["time"].isoformat(timespec="milliseconds")
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _console(file: Path | None) -> Callable[[Event], str]:
    renderer = structlog.dev.ConsoleRenderer(
        colors=file is None and sys.stderr.isatty(), timestamp_key="time", pad_event_to=0
    )

    def render(event: Event) -> str:
        event["time"] = event["time"].astimezone().strftime("%H:%M:%S")
        return str(renderer(None, "", {key: value for key, value in event.items() if value not in (None, "")}))

    return render
