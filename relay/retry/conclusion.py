"""What follows from what was said: who is done with, who is tried again and when, who must be told; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from relay.retry.bounce import wants
from relay.retry.schedule import is_over, next_pause, notice_due
from relay.smtp import Fault

if TYPE_CHECKING:
    from relay.retry.delivery import Said
    from relay.retry.letter import Letter, Recipient
    from relay.retry.schedule import Plan


class Conclusion(NamedTuple):
    """Every recipient of a letter, in one of the first three; each with what was said last."""

    delivered: tuple[Recipient, ...]
    failed: tuple[Recipient, ...]
    later: tuple[Recipient, ...]
    wait: float  # seconds until the next try
    bounce_to: tuple[Recipient, ...]  # of whom the sender is told that it failed
    notice_to: tuple[Recipient, ...]  # of whom the sender is told that it is late
    stuck: bool  # it failed, and there is nobody to tell
    unknown: bool  # it may have been delivered

    @property
    def remaining(self) -> tuple[Recipient, ...]:
        """Who stays in the letter; the failures too, where nobody can be told of them."""
        return (*self.failed, *self.later) if self.stuck else self.later


def conclude(letter: Letter, said: Said, plan: Plan, chance: float) -> Conclusion:
    """Judge a try to deliver."""
    heard = tuple(each._replace(said=said[each.number]) for each in letter.recipients)
    over = is_over(plan, letter.age)
    failed = tuple(each for each in heard if each.said.permanent or (each.said.transient and over))
    later = tuple(each for each in heard if each.said.transient and not over)
    null_sender = not letter.sender.address
    if null_sender and later:  # nobody can be told of a failure: it stays with the letter until all have their verdict
        failed, later = (), (*failed, *later)
    late = notice_due(plan, letter.age, notified=letter.notified) and not null_sender
    return Conclusion(
        delivered=tuple(each for each in heard if each.said.ok),
        failed=failed,
        later=later,
        wait=next_pause(plan, letter.attempts + 1, tuple(each.said for each in later), chance),
        bounce_to=() if null_sender else tuple(each for each in failed if wants(each.path, b"FAILURE")),
        notice_to=tuple(each for each in later if late and wants(each.path, b"DELAY")),
        stuck=null_sender and bool(failed),
        unknown=any(each.said.fault is Fault.OUTCOME_UNKNOWN for each in heard),
    )
