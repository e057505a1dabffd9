"""Refusals read back from the relay's own log (JSON lines), as the failures they were."""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from relay.explain.failure import Failure
from relay.smtp import Fault, Phase, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_KNOWN = ("upstream", "sender", "recipient", "login", "user", "tls", "size")
_GZIP = b"\x1f\x8b"


@dataclass(slots=True)
class Tally:
    """What was met while reading."""

    lines: int = 0
    refusals: int = 0
    other: int = 0  # lines that are no JSON: of another log format, or of another program


def read_failures(lines: Iterable[bytes], reason: str, tally: Tally) -> Iterator[Failure]:
    """The refusals in a log that were explained by this reason; `tally` counts all that was read."""
    for line in filter(None, map(bytes.strip, lines)):
        tally.lines += 1
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            tally.other += 1
            continue
        if not isinstance(event, dict) or event.get("event") != "relay_failure":
            continue
        tally.refusals += 1
        if event.get("reason") == reason and (failure := _failure(event)):
            yield failure


@contextmanager
def opened(file: Path) -> Iterator[Iterable[bytes]]:
    """A log file, also one that was compressed when it was rotated.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as plain:
        compressed = plain.read(2) == _GZIP
        plain.seek(0)
        if not compressed:
            yield plain
            return
        try:
            with gzip.open(plain) as unpacked:
                yield unpacked
        except (EOFError, zlib.error) as error:
            raise OSError(f"{file} is damaged, or still being written: {error}") from None


def _failure(event: dict[str, Any]) -> Failure | None:
    """The failure of one event; None where the event is not as this relay writes it."""
    try:
        words = tuple(str(line).encode() for line in event["words"]) or (b"",)
        phase, fault = event.get("phase"), event.get("fault")
        reply = Reply(Phase(phase) if phase else None, int(event["code"]), words, Fault(fault) if fault else None)
    except (KeyError, TypeError, ValueError):
        return None
    known: dict[str, Any] = {key: event.get(key) for key in _KNOWN}
    return Failure(reply, **known)
