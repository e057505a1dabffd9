"""Two thousand messages through a relay of its own process, one in four before a hostile upstream."""

from __future__ import annotations

import pytest
from fuzz_mass import run


@pytest.mark.timeout(180)
def test_no_success_is_false_and_no_message_is_changed():
    outcome = run(2000, seed=20)
    assert (outcome.false_successes, outcome.changed, outcome.twice, outcome.first) == (0, 0, 0, "")
    assert outcome.sent == 2000
    assert outcome.confirmed > 1000
    assert outcome.hostile > 300
