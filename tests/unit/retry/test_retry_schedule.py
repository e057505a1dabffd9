"""When to try again: pure arithmetic, and the times that servers name in their own words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.retry.schedule import (
    Breaker,
    Plan,
    hint,
    is_over,
    may_succeed_later,
    may_succeed_soon,
    next_pause,
    notice_due,
    pause,
)
from relay.smtp import Fault, Phase, Reply, reply_for

PLAN = Plan(first=60, longest=14400, max_age=432000, notice_after=14400)
CHANCE = st.floats(0, 1)


def refused(text: str, code: int = 450) -> Reply:
    return Reply(Phase.RCPT, code, tuple(line.encode() for line in text.split("\n")))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4.2.0 Greylisted, please try again in 300 seconds", 300),
        ("4.2.0 Greylisted, try again in 5 minutes", 300),
        ("4.7.1 greylisted for 60 s", 60),
        ("4.7.1 Try again after 60s", 60),
        ("Please wait at least 2 mins and retry", 120),
        ("4.7.0 Greylisting in action, please come back in 00:04:31", 271),
        ("4.7.1 Rate limit\n4.7.1 retry in 1 hour", 3600),
        ("4.7.1 retry=90s", 90),
        ("4.2.0 Greylisted, see http://postgrey.test/help", None),
        ("4.2.2 Mailbox full, 5 messages too many", None),
        ("4.7.1 192.0.2.10 is not in 2001:db8::1 s", None),
    ],
)
def test_the_time_a_server_names_is_understood(text: str, seconds: float | None):
    assert hint(refused(text)) == seconds


def test_only_a_server_that_refuses_for_now_names_a_time():
    assert hint(refused("5.7.1 try again in 300 seconds", 550)) is None
    assert hint(reply_for(Fault.TIMEOUT, Phase.RCPT, detail="no reply in 30 seconds")) is None


@given(st.text(max_size=200))
def test_any_words_at_all_give_a_time_or_none(text: str):
    found = hint(Reply(Phase.RCPT, 450, (text.encode("utf-8", "replace"),)))
    assert found is None or found >= 0


@given(st.integers(0, 10_000), CHANCE)
def test_a_pause_is_near_its_double_and_never_beyond_the_longest(attempts: int, chance: float):
    assert 0.75 * 60 <= next_pause(PLAN, attempts, (), chance) <= PLAN.longest
    near = pause(attempts, 60, chance) / (60 * 2 ** min(attempts, 30))
    assert 0.75 <= near <= 1.25


@given(CHANCE)
def test_the_longest_time_that_any_server_asks_for_holds(chance: float):
    replies = (refused("try again in 300 seconds"), refused("greylisted for 60 s"), refused("busy"))
    assert 300 < next_pause(PLAN, 0, replies, chance) <= 302
    assert next_pause(PLAN, 0, (refused("try again in 99 hours"),), chance) == PLAN.longest


def test_what_may_be_tried_again():
    assert may_succeed_later(refused("busy"))
    assert not may_succeed_later(refused("no", 550))
    assert not may_succeed_later(Reply(Phase.RCPT, 250))
    for fault in Fault:
        later, soon = (judge(reply_for(fault, Phase.MAIL)) for judge in (may_succeed_later, may_succeed_soon))
        assert later == (not fault.ours and fault not in (Fault.OUTCOME_UNKNOWN, Fault.BUG, Fault.LOGIN_LOST))
        assert soon <= later
    assert may_succeed_soon(reply_for(Fault.REFUSED, Phase.CONNECT))
    assert not may_succeed_soon(reply_for(Fault.CERTIFICATE_EXPIRED, Phase.CONNECT))


def test_an_upstream_that_cannot_be_reached_is_probed_with_one_letter():
    open_again = Breaker()
    assert open_again.room(0.0, 16) == 16
    once = open_again.failed(100.0, PLAN, 0.5)
    assert (once.room(100.0, 16), once.room(159.0, 16), once.room(160.0, 16)) == (0, 0, 1)
    many = once
    for _ in range(50):
        many = many.failed(1000.0, PLAN, 1.0)
    assert many.closed_at <= 1300.0


def test_a_letter_has_its_time_and_its_one_notice():
    assert not is_over(PLAN, 431999)
    assert is_over(PLAN, 432000)
    assert notice_due(PLAN, 14400, notified=False)
    assert not notice_due(PLAN, 14399, notified=False)
    assert not notice_due(PLAN, 99999, notified=True)
    assert not notice_due(Plan(60, 14400, 432000, None), 99999, notified=False)


def test_a_server_that_always_asks_for_no_time_at_all_is_asked_ever_less_often():
    at_once = (refused("try again in 0 seconds"),)
    pauses = [next_pause(PLAN, attempts, at_once, 0.5) for attempts in range(12)]
    assert pauses[0] == 10
    assert pauses == sorted(pauses)
    assert pauses[-1] > 3600
