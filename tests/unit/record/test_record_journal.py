"""What the journal writes where addresses are to be hidden."""

from __future__ import annotations

from typing import Any

import pytest

from relay.record.counters import Counters
from relay.record.journal import Journal
from relay.smtp import Phase, Reply


class Events:
    """A log that keeps the fields of the last event."""

    def __init__(self) -> None:
        self.last: dict[str, Any] = {}

    def _keep(self, event: str, **fields: Any) -> None:
        self.last = {"event": event, **fields}

    info = warning = error = _keep


def test_a_long_word_costs_no_more_than_its_length():
    """Where each letter began a new try, this would not end within the time of a test."""
    log = Events()
    journal = Journal(log, Counters().row(0), mask_addresses=True)
    journal.spooled("spool_failed", "0", "", (), Reply(Phase.MESSAGE, 550, (b"x" * 400_000,)))
    assert log.last["words"] == ["x" * 400_000]


@pytest.mark.parametrize(
    ("words", "hidden"),
    [
        ("<bob.smith@y.test>: no such user", "<***@y.test>: no such user"),
        ("<Bob.Smith@Y.test> and BOB.SMITH", "<***@Y.test> and ***"),
        ("no mailbox bob.smith here", "no mailbox *** here"),
        ("bob.smith+tag and bob.smith", "*** and ***"),
        ('"anna berg"@x.test may not; anna berg', "***@x.test may not; ***"),
        ("forwarded to carl@elsewhere.test, dora%40z.test", "forwarded to ***@elsewhere.test, ***%40z.test"),
        ("rated 4.7.1 @ noon, see https://x.test/?e=1", "rated 4.7.1 @ noon, see https://x.test/?e=1"),
        ("sleepy lee, LEE.", "sleepy ***, ***."),
    ],
)
def test_nobody_is_named_in_the_words_of_the_server(words: str, hidden: str):
    log = Events()
    journal = Journal(log, Counters().row(0), mask_addresses=True)
    recipients = ("bob.smith+tag@y.test", "lee@y.test")
    reply = Reply(Phase.MESSAGE, 550, (words.encode(),))
    journal.spooled("spool_failed", "0", '"anna berg"@x.test', recipients, reply)
    assert log.last["words"] == [hidden]
    assert log.last["recipients"] == ["***@y.test", "***@y.test"]
    Journal(log, Counters().row(0)).spooled("spool_failed", "0", "", recipients, reply)
    assert log.last["words"] == [words]
