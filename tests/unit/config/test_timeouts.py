"""How long each wait may take."""

from __future__ import annotations

import pytest

from relay.config import Timeouts
from relay.smtp import Phase


def test_built_in_times():
    times = {phase: Timeouts().reply_seconds(phase) for phase in Phase}
    assert times.pop(Phase.CONNECT) == 30
    assert times.pop(Phase.STARTTLS) == 15
    assert times.pop(Phase.MESSAGE) == 600
    assert set(times.values()) == {55}


@pytest.mark.parametrize("phase", Phase)
def test_one_time_for_all_replies(phase: Phase):
    assert Timeouts(upstream_reply=2).reply_seconds(phase) == 2


def test_a_phase_with_a_time_of_its_own():
    times = Timeouts(upstream_reply=2, upstream_message=9)
    assert (times.reply_seconds(Phase.MESSAGE), times.reply_seconds(Phase.RCPT)) == (9, 2)
    assert times.upstream_connect == 15
