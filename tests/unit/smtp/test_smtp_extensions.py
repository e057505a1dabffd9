"""What a server hears of the parameters of MAIL and RCPT, and how its refusal of one is told."""

from __future__ import annotations

import pytest

from relay.smtp import Fault, Phase, Reply
from relay.smtp.capabilities import Capabilities
from relay.smtp.command import Path
from relay.smtp.extensions import HINTS_LATER, as_offered, is_timed, said_to

OFFERED = Capabilities.of_ehlo((b"up.test", b"8BITMIME"))
EVERYTHING = Capabilities.of_ehlo((b"up.test", b"8BITMIME", b"SIZE", b"DSN", b"SMTPUTF8"))


@pytest.mark.parametrize(
    ("parameters", "live", "later"),
    [
        (b"", b"<a@b.c>", b"<a@b.c>"),
        (b" SIZE=7  body=8BITMIME", b"<a@b.c> body=8BITMIME", b"<a@b.c> body=8BITMIME"),
        (b"\tsize=7 RET=FULL", b"<a@b.c> RET=FULL", b"<a@b.c>"),
        (b" X-SIZE=7 ENVID=SIZE=7", b"<a@b.c> X-SIZE=7 ENVID=SIZE=7", b"<a@b.c> X-SIZE=7"),
    ],
)
def test_hints_are_left_out_where_they_are_not_offered(parameters: bytes, live: bytes, later: bytes):
    path = Path(b"<a@b.c>", parameters)
    assert said_to(OFFERED, path) == live
    assert said_to(OFFERED, path, HINTS_LATER) == later
    assert said_to(EVERYTHING, path, HINTS_LATER) == path.wire


@pytest.mark.parametrize(
    ("parameters", "code", "invited", "changed"),
    [
        (b" SMTPUTF8", 555, EVERYTHING, True),
        (b" smtputf8 SIZE=7", 501, EVERYTHING, True),
        (b" SMTPUTF8", 550, EVERYTHING, False),  # the parameter was not refused
        (b" SMTPUTF8", 555, OFFERED, False),  # nobody had invited it
        (b" X-OWN=1", 555, EVERYTHING, False),
        (b" SIZE=7", 501, EVERYTHING, False),  # it was not sent
        (b"", 501, EVERYTHING, False),
        (b" SMTPUTF8", 555, None, True),
    ],
)
def test_a_refused_parameter_that_was_invited_is_no_mistake(parameters: bytes, code: int, invited, *, changed: bool):
    refusal = Reply(Phase.MAIL, code, (b"5.5.4 What?",))
    told = as_offered(refusal, Path(b"<a@b.c>", parameters), OFFERED, invited, "up.test:25")
    assert (told.fault is Fault.OFFER_CHANGED) is changed
    assert changed or told is refusal


def test_a_time_of_its_own_is_known():
    assert is_timed(Path(b"<a@b.c>", b" body=8BITMIME by=30;R"))
    assert not is_timed(Path(b"<a@b.c>", b" SMTPUTF8 X-BY=3"))
