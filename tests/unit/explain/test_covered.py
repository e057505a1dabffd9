"""A page is never reached where an earlier one holds wherever it does."""

from __future__ import annotations

import pytest

from relay.explain import When
from relay.explain.covered import covers
from relay.smtp import Fault, Phase

RCPT, MAIL, AUTH = Phase.RCPT, Phase.MAIL, Phase.AUTH


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (When(code=("5xx",)), When(code=("550", "55x"))),
        (When(code=("550",)), When(code=("550",), text=("no",))),
        (When(status=("x.7.x",)), When(status=("5.7.1",))),
        (When(text=("a", "b")), When(text=("a",), code=("550",))),
        (When(phase=(RCPT, MAIL)), When(phase=(RCPT,), text=("a",))),
        (When(fault=(Fault.DNS, Fault.REFUSED)), When(fault=(Fault.DNS,))),
        (When(text=("a",), not_text=("b",)), When(text=("a",), not_text=("b", "c"))),
        (When(text=("a",)), When(text=("a",), login=True, recipients_over=5)),
        (When(text=("a",), recipients_over=5), When(text=("a",), recipients_over=9)),
        (When(code=("5xx",)), When(code=("550",), server=("google",))),
        (When(), When(phase=(RCPT,), fault=(Fault.DNS,))),
    ],
)
def test_covered(earlier, later):
    assert covers(earlier, later)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (When(code=("550",)), When(code=("5xx",))),
        (When(code=("5xx",)), When(text=("a",))),
        (When(status=("5.7.1",)), When(status=("x.7.1",))),
        (When(text=("a",)), When(text=("a", "b"))),
        (When(text=("a",)), When(code=("550",))),
        (When(text=("a",)), When(text=("a",), code=("250",))),
        (When(text=("a",)), When(text=("a",), phase=(AUTH,))),
        (When(text=("a",), not_text=("b",)), When(text=("a",))),
        (When(fault=(Fault.DNS,)), When(text=("a",))),
        (When(), When(fault=(Fault.DNS,))),  # which speaks at AUTH too
        (When(text=("a",), login=True), When(text=("a",))),
        (When(text=("a",), login=True), When(text=("a",), login=False)),
        (When(text=("a",), recipients_over=9), When(text=("a",), recipients_over=5)),
        (When(text=("a",), server=("google",)), When(text=("a",))),
        (When(text=("a",), upstream=("x",)), When(text=("a",), upstream=("y",))),
    ],
)
def test_not_covered(earlier, later):
    assert not covers(earlier, later)
