"""The refusals that can be practised, each read by the book: it names their reason, or none."""

from __future__ import annotations

import pytest

from relay.explain import Book, Failure, Reason, shipped_chapters
from relay.explain.heard import example, reply_from
from relay.practice.scenario import Behaviour
from relay.practice.scenarios import all_scenarios

BOOK = Book.read(shipped_chapters())
NAMES = {"recipient": "bob@example.net", "domain": "example.net", "sender": "alice@example.com", "user": "alice"}
SPOKEN = (Behaviour.REPLY, Behaviour("second-try"))
SCENARIOS = [each for each in all_scenarios() if each.lines and not each.expect and each.behaviour in SPOKEN]
UNDEFINED_AT_MOST = 5  # replies whose words do not tell the reason, though the scenario's author knows it


def explained(scenario):
    said = scenario.reply(**NAMES, helo="client.example.com").decode()
    return BOOK.explain(Failure(reply_from(said, scenario.phase))).reason


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: f"{each.phase}-{each.address}")
def test_a_practised_refusal_is_never_explained_wrongly(scenario):
    assert explained(scenario) in (Reason(scenario.reason), Reason.UNDEFINED)


def test_nearly_all_practised_refusals_are_recognised():
    missed = [each.address for each in SCENARIOS if explained(each) != each.reason]
    assert len(missed) <= UNDEFINED_AT_MOST, missed


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (
            "[phase=rcpt] 504 5.5.2 <mailbox-full-9@d>: Sender address rejected: need fully-qualified address",
            "badaddress",
        ),
        ("[phase=rcpt] 550 5.1.1 <over-quota@example.net>: User unknown", "userunknown"),
        ("[phase=rcpt] 550 5.1.1 <spamhaus@spamhaus.example>: User unknown", "userunknown"),
    ],
)
def test_an_address_in_a_reply_is_not_read_as_words(written, reason):
    assert BOOK.explain(example(written)).reason == reason
