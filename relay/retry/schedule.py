"""When to try again, and when to give up: pure, so that chance and clock come from the caller."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from relay.smtp import Fault

if TYPE_CHECKING:
    from relay.smtp import Reply

_JITTER = 0.25  # of a pause, up or down: what failed together must not come back together
_SOON_SECONDS = 10.0  # the first pause of a server that names a shorter one
_LONGEST_DOUBLING = 30  # powers of two beyond it say nothing

# "try again in 300 seconds", "greylisted for 5 minutes", "retry after 60s", "wait 00:05:00"
_HINT = re.compile(
    r"(?:\b(?:in|for|after|within|wait)\b|=)\s*(?:at\s+least\s+|about\s+|approximately\s+|another\s+)?"
    r"(?:(?P<hours>\d{1,3}):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)\b"
    r"|(?P<number>\d{1,6})\s*(?P<unit>s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?)\b)",
    re.IGNORECASE,
)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}

# Where another try would find the same: somebody must change a setting, or a bug.
_FIRM = frozenset(
    {
        Fault.DNS, Fault.TLS_NOT_OFFERED, Fault.TLS_WRONG_PORT, Fault.CERTIFICATE, Fault.CERTIFICATE_EXPIRED,
        Fault.CERTIFICATE_ISSUER, Fault.CERTIFICATE_NAME, Fault.CERTIFICATE_NOT_YET_VALID, Fault.AUTH_NO_MECHANISM,
    }
)  # fmt: skip
_NEVER = frozenset({Fault.OUTCOME_UNKNOWN, Fault.BUG, Fault.LOGIN_LOST})


@dataclass(frozen=True, slots=True)
class Plan:
    """The operator's choices; all in seconds. `notice_after` None: the sender is never told that a mail is late."""

    first: float
    longest: float
    max_age: float
    notice_after: float | None


class Breaker(NamedTuple):
    """Whether the upstream can be reached at all. One that cannot is probed with one letter, not hammered with all."""

    failures: int = 0  # in a row
    closed_at: float = 0.0  # no probe before it

    def room(self, now: float, limit: int) -> int:
        """How many letters may be tried now."""
        if not self.failures:
            return limit
        return 1 if now >= self.closed_at else 0

    def failed(self, now: float, plan: Plan, chance: float) -> Breaker:
        """After another failure to reach it."""
        wait = min(pause(self.failures, plan.first, chance), 300.0, plan.longest)
        return Breaker(self.failures + 1, now + wait)


def may_succeed_later(reply: Reply) -> bool:
    """Whether this is a temporary failure of the upstream, or on the way to it, after which nothing was delivered."""
    fault = reply.fault
    return reply.transient and (fault is None or not (fault.ours or fault in _NEVER))


def may_succeed_soon(reply: Reply) -> bool:
    """Whether another try makes sense while somebody waits."""
    return may_succeed_later(reply) and reply.fault not in _FIRM


def pause(failures: int, first: float, chance: float) -> float:
    """Seconds to wait after so many tries in vain (the first counts 0); `chance` lies between 0 and 1."""
    return first * 2.0 ** min(failures, _LONGEST_DOUBLING) * (1 + _JITTER * (2 * chance - 1))


def hint(reply: Reply) -> float | None:
    """The seconds after which the server itself says that another try will do, or None."""
    found = _HINT.search(reply.text) if reply.transient and reply.fault is None else None
    if found is None:
        return None
    if found["number"]:
        return int(found["number"]) * _UNITS[found["unit"][0].lower()]
    return int(found["hours"]) * 3600.0 + int(found["minutes"]) * 60.0 + int(found["seconds"])


def next_pause(plan: Plan, attempts: int, replies: tuple[Reply, ...], chance: float) -> float:
    """Seconds until a letter is tried again: the longest of what the servers asked for, or what the plan says.

    A server that asks for too little is not asked without end either.
    """
    own = min(pause(attempts, plan.first, chance), plan.longest)
    hints = [seconds for reply in replies if (seconds := hint(reply)) is not None]
    if not hints:
        return own
    least = min(own, pause(attempts, _SOON_SECONDS, chance))
    return max(least, min(max(hints) + 1.0 + chance, plan.longest))


def is_over(plan: Plan, age: float) -> bool:
    """Whether a letter has been tried long enough."""
    return age >= plan.max_age


def notice_due(plan: Plan, age: float, *, notified: bool) -> bool:
    """Whether the sender must now be told that the letter is late."""
    return not notified and plan.notice_after is not None and age >= plan.notice_after
