"""A mail in the spool: its envelope, those it has not reached yet, and what was said of each last."""

from __future__ import annotations

import os
import time
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from relay.smtp import Reply
    from relay.smtp.command import Path

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: in its order ids sort by time


class Kind(StrEnum):
    """Whose letter it is."""

    MAIL = "mail"  # a client's
    BOUNCE = "bounce"  # ours: it failed for good
    NOTICE = "notice"  # ours: it is late


class State(StrEnum):
    """What is to be done with a letter."""

    PENDING = "pending"  # nothing yet: nobody was told 250 for it
    QUEUED = "queued"  # deliver it when it is due
    HELD = "held"  # an operator wants it to wait
    STUCK = "stuck"  # it failed for good, and nobody can be told: kept for an operator to see


class Recipient(NamedTuple):
    """Somebody a letter has not reached. `number` is its place in the letter, `said` the last reply about it."""

    number: int
    path: Path
    said: Reply


class Letter(NamedTuple):
    """A letter. `age` and `attempts` are of the moment it was taken out; `octets` come with it where they are few."""

    id: str
    kind: Kind
    sender: Path
    size: int
    recipients: tuple[Recipient, ...]
    login: bytes | None = None  # encrypted
    age: float = 0.0  # seconds
    attempts: int = 0  # to deliver it from the spool
    notified: bool = False
    octets: bytes | None = None  # as they go behind DATA
    taken_over: bool = False  # from a relay that did not finish: it may have delivered it


def new_id() -> str:
    """16 letters and digits: 48 bits of time in milliseconds, 32 of chance."""
    number = time.time_ns() // 1_000_000 << 32 | int.from_bytes(os.urandom(4), "big")
    return "".join(_LETTERS[number >> shift & 31] for shift in range(75, -5, -5))
