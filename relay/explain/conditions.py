"""The conditions of a page, as data: how each is written, and when it holds.

A condition is checked in one of three ways: cheap ones depend on phase, code, status and fault alone, so their outcome
is remembered; patterns are matched all at once by `relay.explain.patterns`; the rest asks the Failure.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from relay.smtp import Fault, Phase

if TYPE_CHECKING:
    from collections.abc import Collection

    from relay.explain.failure import Failure
    from relay.explain.page import When

CODE = re.compile(r"[1-5](?:\d\d|\dx|xx)")
STATUS = re.compile(r"[245x]\.(?:\d{1,3}|x)\.(?:\d{1,3}|x)")

# At AUTH every refusal is about the login, whatever its text says. So a page that names no phase is silent there.
# A fault is none of the server's words: a page that asks for one speaks everywhere.
_EVERYWHERE: frozenset[Phase | None] = frozenset({*Phase, None})
_EVERYWHERE_BUT_AUTH = _EVERYWHERE - {Phase.AUTH}


class Moment(NamedTuple):
    """What the cheap conditions look at. `code` is 0 where a text came without one."""

    phase: Phase | None
    code: int
    status: str | None
    fault: Fault | None


def phases_of(when: When) -> Collection[Phase | None]:
    """The phases at which a page may speak; None where the phase is not known."""
    return when.phase or (_EVERYWHERE if when.fault else _EVERYWHERE_BUT_AUTH)


def possible(when: When, moment: Moment) -> bool:
    """Whether a page's phase, code, status and fault fit this moment."""
    return (
        _fault_fits(when, moment.fault)
        and moment.phase in phases_of(when)
        and _code_fits(when, moment)
        and (not when.status or any(_digits_fit(form, moment.status) for form in when.status))
    )


def holds(when: When, failure: Failure) -> bool:
    """Whether everything a page asks of the circumstances is known to be so; what is not known does not hold."""
    return all(
        wanted is None or wanted == known
        for wanted, known in (
            (when.login, failure.login),
            (when.tls, failure.tls),
            (when.eight_bit, failure.eight_bit),
            (when.utf8, failure.utf8),
            (when.null_sender, None if failure.sender is None else failure.sender in ("", "<>")),
            (when.same_sender, _same_sender(failure)),
            (when.size_over_limit, failure.over_limit),
        )
    ) and (when.recipients_over is None or (failure.recipients or 0) > when.recipients_over)


def asks_circumstances(when: When) -> bool:
    """Whether `holds` has anything to check; most pages ask nothing of the kind."""
    asked = (when.login, when.tls, when.eight_bit, when.utf8, when.null_sender, when.same_sender, when.size_over_limit)
    return any(wanted is not None for wanted in asked) or when.recipients_over is not None


def _fault_fits(when: When, fault: Fault | None) -> bool:
    # A fault has no upstream's words: only its own page (or the last, which asks for nothing) may explain it.
    if fault is None:
        return not when.fault
    return fault in when.fault or asks_nothing(when)


def asks_nothing(when: When) -> bool:
    """Whether these are the conditions of the last page, which always matches: none at all."""
    return not any((when.phase, when.code, when.status, when.text, when.fault, when.upstream, when.server))


def _code_fits(when: When, moment: Moment) -> bool:
    if when.code:
        return any(_digits_fit(form, str(moment.code)) for form in when.code)
    # Good replies are explained only by pages that name their code (`relay explain 250`); a page found by its words
    # never mistakes "250 2.1.5 mailbox full of joy" for a refusal.
    return moment.code == 0 or moment.code >= 400 or not (when.text or when.status)


@lru_cache(8_192)
def _digits_fit(form: str, digits: str | None) -> bool:
    """Compare "5xx" with "550", "5.7.x" with "5.7.133", part by part."""
    if digits is None:
        return False
    if "." not in form:
        return len(form) == len(digits) and all(a in (b, "x") for a, b in zip(form, digits, strict=True))
    wanted, found = form.split("."), digits.split(".")
    return len(found) == len(wanted) and all(a in (b, "x") for a, b in zip(wanted, found, strict=True))


def _same_sender(failure: Failure) -> bool | None:
    if not failure.sender or not failure.user or "@" not in failure.user:
        return None
    return failure.sender.strip("<>").casefold() == failure.user.casefold()
