"""What follows from a try: who is done with, who is tried again, who must be told."""

from __future__ import annotations

from relay.retry.conclusion import conclude
from relay.retry.letter import Kind, Letter, Recipient
from relay.retry.schedule import Plan
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.smtp.command import Path

PLAN = Plan(first=60, longest=14400, max_age=432000, notice_after=14400)
OK = Reply(Phase.MESSAGE, 250)
LATER = Reply(Phase.RCPT, 450, (b"4.2.0 Greylisted",))
NEVER = Reply(Phase.RCPT, 550, (b"5.1.1 User unknown",))


def letter(*parameters: str, sender: str = "<a@a.test>", age: float = 60.0, notified: bool = False) -> Letter:
    named = tuple(Recipient(n, Path(b"<r%d@b.test>" % n, p.encode()), LATER) for n, p in enumerate(parameters))
    return Letter("0", Kind.MAIL, Path(sender.encode()), 1, named, age=age, notified=notified)


def numbers(recipients: tuple[Recipient, ...]) -> list[int]:
    return [each.number for each in recipients]


def test_each_recipient_has_a_fate_of_its_own():
    end = conclude(letter("", "", ""), {0: OK, 1: LATER, 2: NEVER}, PLAN, 0.5)
    assert (numbers(end.delivered), numbers(end.later), numbers(end.failed)) == ([0], [1], [2])
    assert numbers(end.bounce_to) == [2]
    assert numbers(end.remaining) == [1]
    assert end.later[0].said is LATER
    assert not end.notice_to
    assert not end.stuck


def test_after_its_time_what_is_put_off_has_failed():
    end = conclude(letter("", age=432000), {0: LATER}, PLAN, 0.5)
    assert numbers(end.failed) == numbers(end.bounce_to) == [0]
    assert not end.later


def test_the_sender_is_told_once_that_it_is_late():
    assert numbers(conclude(letter("", age=14400), {0: LATER}, PLAN, 0.5).notice_to) == [0]
    assert not conclude(letter("", age=14400, notified=True), {0: LATER}, PLAN, 0.5).notice_to
    assert not conclude(letter(" NOTIFY=FAILURE", age=14400), {0: LATER}, PLAN, 0.5).notice_to


def test_who_wants_to_hear_nothing_hears_nothing():
    end = conclude(letter(" NOTIFY=NEVER"), {0: NEVER}, PLAN, 0.5)
    assert numbers(end.failed) == [0]
    assert not end.bounce_to
    assert not end.remaining


def test_mail_without_a_sender_causes_no_mail_and_is_kept_to_be_seen():
    end = conclude(letter("", "", sender="<>", age=20000), {0: NEVER, 1: OK}, PLAN, 0.5)
    assert not end.bounce_to
    assert not end.notice_to
    assert end.stuck
    assert numbers(end.remaining) == [0]


def test_of_mail_without_a_sender_a_failure_stays_until_all_have_their_verdict():
    end = conclude(letter("", "", "", sender="<>"), {0: NEVER, 1: LATER, 2: OK}, PLAN, 0.5)
    assert not end.stuck
    assert not end.failed
    assert numbers(end.remaining) == [0, 1]


def test_an_unknown_outcome_is_tried_again_and_told_of():
    unknown = reply_for(Fault.OUTCOME_UNKNOWN, Phase.MESSAGE)
    end = conclude(letter(""), {0: unknown}, PLAN, 0.5)
    assert end.unknown
    assert numbers(end.later) == [0]
