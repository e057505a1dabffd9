"""What is wrong with a setting: where it was given, what was found, what was expected, and the cure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Key = tuple[str | int, ...]  # the way to a setting: ("listen", 0, "address")

_LOGIN = re.compile(r"(?<=//).*@", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a value's own check has to say; the loader adds where the value came from."""

    expected: str
    cure: str = ""
    found: str = ""  # "" shows the value itself, with secrets masked
    at: Key = ()  # the way from the checked value to the one that is wrong


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake of the operator, complete: no secret is in any of its words."""

    place: str  # "relay.yaml:12", "environment variable RELAY_HOSTNAME" or "flag --listen"
    key: str
    expected: str
    found: str = ""
    cure: str = ""

    def __str__(self) -> str:
        """The mistake as the operator reads it."""
        head = f"{self.place}: {self.key}" if self.key else self.place
        parts = (("found", self.found), ("expected", self.expected), ("cure", self.cure))
        return "\n".join([head, *(f"  {name:<9} {text}" for name, text in parts if text)])


class SettingsError(Exception):
    """The settings cannot be used; `str()` of it tells the operator everything."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keep the mistakes, each only once, in the order they were found."""
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__(self.problems)

    def __str__(self) -> str:
        """Every mistake, a paragraph each."""
        count = "a mistake" if len(self.problems) == 1 else f"{len(self.problems)} mistakes"
        return "\n\n".join([f"The settings have {count}:", *map(str, self.problems)])


def mistake(*complaints: Complaint) -> PydanticCustomError:
    """The exception a check raises for one or several complaints."""
    words = "; ".join(complaint.expected for complaint in complaints)
    return PydanticCustomError("setting", "expected {words}", {"words": words, "complaints": complaints})


def expected(words: str, cure: str = "", found: str = "") -> PydanticCustomError:
    """The exception a check raises when the value itself is wrong."""
    return mistake(Complaint(words, cure, found))


def nearest(name: str, names: Sequence[str]) -> str:
    """The name that was probably meant, or ""."""
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.6)), "")


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """A cure that offers the nearest right name, or ""."""
    found = nearest(name, names)
    return f"did you mean {found}?" if found else ""


def quoted(text: str) -> str:
    """A value as it is shown in a problem: cut, and without the login of a URL that strayed into it."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in _LOGIN.sub("***@", text))
    return f'"{shown[:80]}..."' if len(shown) > 80 else f'"{shown}"'
