"""Whether one page's conditions hold wherever another's do: then the later of the two is never reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.explain.conditions import asks_nothing, phases_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from relay.explain.page import When

_YES_NO = ("login", "tls", "null_sender", "same_sender", "utf8", "eight_bit", "size_over_limit")


def covers(earlier: When, later: When) -> bool:
    """Whether every failure that fits `later` surely fits `earlier` too; patterns are compared as they are written."""
    return (
        _phases_cover(earlier, later)
        and _codes_cover(earlier, later)
        and _forms_cover(earlier.status, later.status)
        and _faults_cover(earlier, later)
        and _any_covers(earlier.text, later.text)
        and _any_covers(earlier.server, later.server)
        and _any_covers(earlier.upstream, later.upstream)
        and set(earlier.not_text) <= set(later.not_text)
        and _circumstances_cover(earlier, later)
    )


def _phases_cover(earlier: When, later: When) -> bool:
    return set(phases_of(later)) <= set(phases_of(earlier))


def _codes_cover(earlier: When, later: When) -> bool:
    if earlier.code:
        return _forms_cover(earlier.code, later.code)
    if not (earlier.text or earlier.status):
        return True
    # Found by its words or its enhanced code alone, a page is silent about good replies.
    return all(form[0] in "45" for form in later.code) if later.code else bool(later.text or later.status)


def _faults_cover(earlier: When, later: When) -> bool:
    if later.fault:
        return set(later.fault) <= set(earlier.fault) or asks_nothing(earlier)
    return not earlier.fault


def _circumstances_cover(earlier: When, later: When) -> bool:
    same = all(getattr(earlier, name) in (None, getattr(later, name)) for name in _YES_NO)
    fewest = earlier.recipients_over
    return same and (fewest is None or (later.recipients_over is not None and later.recipients_over >= fewest))


def _any_covers(earlier: Collection[str], later: Collection[str]) -> bool:
    """One of a list must hold: one with all entries of the other holds wherever that does; no list at all, always."""
    return not earlier or (bool(later) and set(later) <= set(earlier))


def _forms_cover(earlier: Collection[str], later: Collection[str]) -> bool:
    if not earlier:
        return True
    return bool(later) and all(any(_form_covers(wide, narrow) for wide in earlier) for narrow in later)


def _form_covers(wide: str, narrow: str) -> bool:
    """Whether "5xx" stands for "55x", and "5.7.x" for "5.7.1"."""
    if "." not in wide:
        return len(wide) == len(narrow) and all(a in (b, "x") for a, b in zip(wide, narrow, strict=True))
    parts, others = wide.split("."), narrow.split(".")
    return len(parts) == len(others) and all(a in (b, "x") for a, b in zip(parts, others, strict=True))
