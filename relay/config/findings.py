"""What the models complain about, turned into problems that name the place and mask what is secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relay.config.keys import SECRETS, cure_for_unknown, shown
from relay.config.problem import Complaint, Problem, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError

    from relay.config.given import Given
    from relay.config.problem import Key

# pydantic's own findings are about the shape alone; all others are ours and carry complaints.
_SHAPES = {
    "missing": Complaint("a value for it", found="nothing"),
    "model_type": Complaint("a section: its keys indented below it, each as key: value"),
    "tuple_type": Complaint("a list, as in [first, second], or a line with - for each"),
}


def problems_in(error: ValidationError, given: Given) -> Iterator[Problem]:
    """Every complaint of the models as a problem of the operator's."""
    for finding in error.errors(include_url=False, include_input=False):
        for complaint in _complaints(finding["type"], finding["loc"], finding.get("ctx", {})):
            key = (*finding["loc"], *complaint.at)
            found = complaint.found or _found(given, key)
            yield Problem(given.place_of(key), shown(key), complaint.expected, found, complaint.cure)


def _complaints(kind: str, key: Key, context: dict[str, Any]) -> tuple[Complaint, ...]:
    if kind == "extra_forbidden":
        return (Complaint("the name of a setting", cure_for_unknown(key), "an unknown name"),)
    if kind == "default_factory_not_called":  # a default that hangs on a wrong setting, which is reported itself
        return ()
    if kind in _SHAPES:
        return (_SHAPES[kind],)
    complaints: tuple[Complaint, ...] = context.get("complaints", (Complaint("a value of another kind"),))
    return complaints


def _found(given: Given, key: Key) -> str:
    """A value as it may be shown."""
    here = given.find(key)
    if here is None:
        return "nothing"
    if isinstance(here.value, tuple):
        return "a list" if here.value else "an empty list"
    if not isinstance(here.value, str):
        return "keys with values"
    # Text where a section belongs may be anything, so a secret as well.
    return "text (hidden)" if any(secret[: len(key)] == key for secret in SECRETS) else quoted(here.value)
