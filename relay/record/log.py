"""Where log events go: into lines at once, and from there by a thread to the file, so that no disk slows a client."""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WAITING_OCTETS = 8 << 20  # beyond it events are dropped and counted: a full disk must not cost memory, nor a mail
_REOPEN_SECONDS = 10.0  # until it is tried again, where the file could not be opened
_STOP_SECONDS = 5.0
# What steers a terminal, parts lines, or turns the direction of letters. Lines of a traceback stay, and so does the ESC
# before a colour: that of a value is escaped before.
_ESCAPED = {
    code: ascii(chr(code))[1:-1]
    for span in (
        (0x00, 0x08), (0x0B, 0x1A), (0x1C, 0x1F), (0x7F, 0x9F),
        (0x061C, 0x061C), (0x200E, 0x200F), (0x2028, 0x202E), (0x2066, 0x2069),
    )
    for code in range(span[0], span[1] + 1)
}  # fmt: skip
_GATHER_SECONDS = 0.1  # a thread that wakes for each event takes a third of the relay's time
_SWITCH_SECONDS = 0.0005  # while a thread waits for Python's lock (usually 0.005), each turn of the loop is costly
_PIPE_OCTETS = 4096  # written to a pipe at once, they are not mixed with another program's (PIPE_BUF of pipe(7))
_LOCK_TRIES, _LOCK_SECONDS = 20, 0.01  # of who must not wait, and the time between two

Event = dict[str, Any]
Render = Callable[[Event], bytes]


class Log(Protocol):
    """Takes events. No method waits, and none fails."""

    def info(self, event: str, /, **fields: Any) -> None:
        """Something went as it should."""

    def warning(self, event: str, /, **fields: Any) -> None:
        """Something did not, which is nobody's mistake here."""

    def error(self, event: str, /, **fields: Any) -> None:
        """Somebody must look at this."""


class NoLog:
    """Forgets every event: for parts that are used alone."""

    def info(self, event: str, /, **fields: Any) -> None:
        """Forget it."""

    warning = error = info


class LogWriter:
    """Writes events as lines, whole ones only, so that several processes may share a file.

    An event is put into words at once: a thread that did so would hold Python's one lock, and the client whose mail
    comes next would wait for that. Only writing waits, in a thread; `direct` writes at once instead, for a process
    that has nothing else to do.
    """

    def __init__(self, render: Render, file: Path | None, *, level: str, direct: bool = False) -> None:
        self._render = render
        self._path = file
        self._told = level == "info"
        self._lines: deque[bytes] = deque()
        self._put_octets = self._taken_octets = 0  # each is counted by one thread alone
        self._dropped = 0
        self._reopen = self._stopping = False
        self._reopen_after = 0.0  # by the clock that only goes forward: it has failed, and is tried again then
        self._reopen_failed = ""  # why, as it was told last
        self._torn = False  # what was written last ends in the middle of a line
        self._wanted = threading.Event()
        self._descriptor = self._open()
        self._thread = None if direct else threading.Thread(target=self._run, name="log", daemon=True)
        if self._thread is not None:
            self._thread.start()
            sys.setswitchinterval(_SWITCH_SECONDS)

    def info(self, event: str, /, **fields: Any) -> None:
        """Something went as it should."""
        if self._told:
            self._put(_stamped(event, fields, "info"))

    def warning(self, event: str, /, **fields: Any) -> None:
        """Something did not, which is nobody's mistake here."""
        self._put(_stamped(event, fields, "warning"))

    def error(self, event: str, /, **fields: Any) -> None:
        """Somebody must look at this."""
        self._put(_stamped(event, fields, "error"))

    def reopen(self) -> None:
        """Open the file again by its name, after it was moved away (log rotation)."""
        self._reopen, self._reopen_after, self._reopen_failed = True, 0.0, ""
        if self._thread is None:
            self._write_waiting()
        else:
            self._wanted.set()

    def stop(self) -> None:
        """Write what waits, then end."""
        self._stopping = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def _put(self, event: Event) -> None:
        if self._put_octets - self._taken_octets >= _WAITING_OCTETS:
            self._dropped += 1
            return
        try:
            line = self._render(event)
        except (TypeError, ValueError) as error:  # a value that has no place in a line of the log
            why = {"what": ascii(event), "why": ascii(error)}
            line = self._render(_stamped("unloggable", why, "error"))
        self._lines.append(line)
        self._put_octets += len(line)
        if self._thread is None:
            self._write_waiting()
        elif not self._wanted.is_set():
            self._wanted.set()

    def _run(self) -> None:
        while not self._stopping or self._lines:
            self._wanted.wait()
            if not self._stopping:
                time.sleep(_GATHER_SECONDS)
            self._wanted.clear()
            self._write_waiting()

    def _write_waiting(self) -> None:
        failed = self._renew()
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        lost, self._dropped = self._dropped, 0
        told = [self._render(_stamped("log_events_dropped", {"count": lost}, "error"))] if lost else []
        if failed:
            told.append(self._render(_stamped("log_not_reopened", {"why": failed}, "error")))
        if not lines and not told:
            return
        try:
            with _alone(self._descriptor, waits=self._thread is not None):
                for octets in self._pieces(lines + told):
                    self._write(octets)
        except Exception:  # noqa: BLE001 -- a full disk, a closed pipe, no memory: the log tells later what it lacks
            self._dropped += lost + len(lines)
        self._taken_octets += sum(map(len, lines))

    def _write(self, octets: bytes) -> None:
        """Write all of it; a disk that is full in the middle of a line does not spoil the next one, too.

        Raises:
            OSError: it could not be written, or only a part of it; or, without a thread, it would have to wait.
        """
        if self._torn:
            octets = b"\n" + octets
        while octets:
            piece = octets
            if self._thread is None:
                if not _takes_octets(self._descriptor):
                    raise BlockingIOError("nobody reads the log")
                piece = octets[:_PIPE_OCTETS]  # for more there may be no room
            written = octets[: os.write(self._descriptor, piece)]
            octets = octets[len(written) :]
            self._torn = not written.endswith(b"\n")

    def _pieces(self, lines: list[bytes]) -> Iterator[bytes]:
        """Whole lines, together where that is safe."""
        if stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            yield b"".join(lines)
            return
        piece = b""
        for line in lines:
            if piece and len(piece) + len(line) > _PIPE_OCTETS:
                yield piece
                piece = b""
            piece += line
        yield piece

    def _open(self) -> int:
        if self._path is None:
            return sys.stderr.fileno()
        # A named pipe is opened for reading too: else opening it would wait until somebody reads it, and writing fail.
        access = os.O_RDWR if self._path.is_fifo() else os.O_WRONLY
        return os.open(self._path, access | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def _renew(self) -> str:
        """Open the file again if that is due; why it failed, if that is news: then the old one serves on."""
        if not self._reopen or self._path is None or time.monotonic() < self._reopen_after:
            return ""
        self._reopen = False  # before: who asks meanwhile asks again
        try:
            fresh = self._open()
        except OSError as error:
            self._reopen_after, self._reopen = time.monotonic() + _REOPEN_SECONDS, True
            told, self._reopen_failed = self._reopen_failed, str(error)
            return "" if told == self._reopen_failed else self._reopen_failed
        old, self._descriptor, self._torn = self._descriptor, fresh, False
        with suppress(OSError):  # a disk far away may tell only now that it is full
            os.close(old)
        return ""


def start_log(*, style: str, file: Path | None, level: str, direct: bool = False) -> LogWriter:
    """Begin to log: the relay's own events and those of Python's logging, as lines for people or as JSON for machines.

    Args:
        style: json or console.
        file: where lines are appended; None is the standard error.
        level: info or warning, the least that is told.
        direct: write at once, without a thread.

    Raises:
        OSError: the file cannot be opened.
    """
    writer = LogWriter(_json if style == "json" else _console(file), file, level=level, direct=direct)
    root = logging.getLogger()
    root.handlers[:] = [_Bridge(writer)]
    root.setLevel(logging.WARNING)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd writes command lines, addresses in them, at INFO
    return writer


def _takes_octets(descriptor: int) -> bool:
    """Whether a write would not wait: it does where nobody reads a full pipe."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))


@contextmanager
def _alone(descriptor: int, *, waits: bool) -> Iterator[None]:
    """Keep the relay's other processes from writing to the same pipe meanwhile; a file keeps apart what is appended.

    Who must not wait goes on without: the others are held up for long only where nobody reads the pipe.
    """
    kind = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
        yield
        return
    for _ in range(1 if waits else _LOCK_TRIES):
        try:
            os.lockf(descriptor, os.F_LOCK if waits else os.F_TLOCK, 0)
        except (BlockingIOError, PermissionError):  # another holds it
            time.sleep(_LOCK_SECONDS)
        except OSError:  # it knows no locks
            break
        else:
            break
    try:
        yield
    finally:
        with suppress(OSError):
            os.lockf(descriptor, os.F_ULOCK, 0)


class _Bridge(logging.Handler):
    """Python's own logging (of libraries, of bugs caught) goes the same way."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        fields = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = logging.Formatter().formatException(record.exc_info)
        tell = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        tell(record.getMessage(), **fields)


def _stamped(event: str, fields: Event, level: str) -> Event:
    return {"time": datetime.now(UTC), "event": event, **fields, "level": level}


def _json(event: Event) -> bytes:
    return orjson.dumps(event, default=str) + b"\n"  # a copy: what orjson returns holds on to four times its length


def _without_escape(value: Any) -> Any:
    return value.replace("\x1b", "\\x1b") if isinstance(value, str) else value


def _console(file: Path | None) -> Render:
    import structlog.dev  # noqa: PLC0415 -- it brings rich along, 6 MB that a log for machines does not need

    renderer = structlog.dev.ConsoleRenderer(
        colors=file is None and sys.stderr.isatty(), timestamp_key="time", pad_event_to=0
    )

    def render(event: Event) -> bytes:
        event["time"] = event["time"].astimezone().strftime("%H:%M:%S")
        told = {key: _without_escape(value) for key, value in event.items() if value not in (None, "")}
        return f"{renderer(None, '', told)}\n".translate(_ESCAPED).encode("utf-8", "replace")

    return render
