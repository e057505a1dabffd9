"""The places settings come from besides the file: variables of the environment, flags, and files with secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

from relay.config.document import read_document
from relay.config.given import Given, nested
from relay.config.keys import KEYS, SECRETS, VARIABLES, is_list, shown
from relay.config.kinds import leads_nowhere, trouble_with
from relay.config.problem import Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relay.config.problem import Key

# Kubernetes and Docker links describe a service named "relay..." to its neighbours in variables like these.
_SERVICE_LINK = re.compile(r"RELAY(_[A-Z0-9]+)*_(SERVICE_(HOST|PORT\w*)|PORT(_\d+_(TCP|UDP)\w*)?|NAME|ENV_\w+)")
_FROM_FILE = tuple((*key[:-1], f"{key[-1]}_file") for key in SECRETS)

Read = tuple[Given, tuple[Problem, ...]]


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line may override."""

    listen: tuple[str, ...] = ()
    upstream: str | None = field(default=None, repr=False)  # may hold a password
    practice: bool = False  # an upstream of our own is started, so none has to be named
    log_format: str | None = None
    log_file: str | None = None
    set: tuple[str, ...] = field(default=(), repr=False)  # section.key=value; may hold a password


@dataclass(frozen=True, slots=True)
class _Assignment:
    key: tuple[str, ...]
    text: str = field(repr=False)  # may be a secret
    place: str


def variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that are ours and are set; an empty one counts as not set."""
    ours = (name for name, text in environ.items() if name.startswith("RELAY_") and text)
    return tuple(sorted(name for name in ours if name in VARIABLES or not _SERVICE_LINK.fullmatch(name)))


def from_environment(environ: Mapping[str, str]) -> Read:
    """What the variables say: RELAY_SECTION__KEY, with two underscores between the names."""
    assignments = []
    problems = []
    for name in variables(environ):
        place = f"environment variable {name}"
        if name in VARIABLES:
            assignments.append(_Assignment(VARIABLES[name], environ[name], place))
        else:
            cure = did_you_mean(name, tuple(VARIABLES)) or "unset it; relay.yaml lists all settings"
            problems.append(Problem(place, "", "RELAY_SECTION__KEY, the name of a setting", "an unknown name", cure))
    given, more = _joined(assignments)
    return given, (*problems, *more)


def from_flags(flags: Flags) -> Read:
    """What the flags say; one that is not given says nothing."""
    named = {"upstream.url": "upstream", "log.format": "log_format", "log.file": "log_file"}
    assignments = [
        _Assignment(tuple(key.split(".")), text, f"flag --{name.replace('_', '-')}")
        for key, name in named.items()
        if (text := getattr(flags, name)) is not None
    ]
    problems = []
    for text in flags.set:
        key, equals, value = text.partition("=")
        if equals and tuple(key.split(".")) in KEYS:
            assignments.append(_Assignment(tuple(key.split(".")), value, "flag --set"))
        else:
            problems.append(_unknown_set(key, equals))
    given, more = _joined(assignments)
    return given.under(_listeners(flags.listen)), (*problems, *more)


def _unknown_set(key: str, equals: str) -> Problem:
    if not equals:
        return Problem("flag --set", "", "section.key=value, such as reply.style=short", "text without a =")
    cure = did_you_mean(key, tuple(map(shown, KEYS))) or "relay.yaml lists all settings"
    return Problem("flag --set", key[:60], "the name of a setting", "an unknown name", cure)


def _listeners(addresses: tuple[str, ...]) -> Given:
    place = "flag --listen"
    if not addresses:
        return Given({}, place)
    items = tuple(Given({"address": Given(text, place)}, place) for text in addresses)
    return Given({"listen": Given(items, place)}, place)


def _joined(assignments: Iterable[_Assignment]) -> Read:
    problems: list[Problem] = []
    trees = []
    for one in assignments:
        leaf = Given(one.text, one.place)
        if is_list(one.key):
            leaf, broken = read_document(one.text, one.place, numbered=False)
            if broken:
                problems.extend(broken)
                continue
        trees.append(nested(one.key, leaf))
    return reduce(Given.under, trees, Given({}, "")), tuple(problems)


def with_secrets_read(given: Given) -> Read:
    """The same, where each KEY_file has become KEY, with the text that stands in the file."""
    problems: list[Problem] = []
    for key, file_key in zip(SECRETS, _FROM_FILE, strict=True):
        named = given.find(file_key)
        if named is None:
            continue
        if given.find(key):
            words = f"one of {shown(key)} and {shown(file_key)}"
            problems.append(Problem(named.place, shown(file_key), words, "both", "remove one of them"))
        text, trouble = _secret(named)
        if trouble:
            problems.append(Problem(named.place, shown(file_key), "a file that holds the secret", cure=trouble))
        # An unread password leaves a stand-in, or its user would be blamed for having none.
        text = text or ("unread" if key[-1] == "password" else "")
        given = _moved(given, file_key, nested(key, Given(text, named.place)) if text else None)
    return given, tuple(problems)


def _secret(named: Given) -> tuple[str, str]:
    """The text in the file, without the line end behind it, or why it cannot be had."""
    path = Path(named.value) if isinstance(named.value, str) else Path()
    if trouble := leads_nowhere(path):
        return "", trouble
    path = path.expanduser()
    try:
        text = path.read_text("utf-8").strip("\r\n")
    except (OSError, ValueError):
        return "", trouble_with(path)
    return text, "" if text else f"{path.absolute()} is empty"


def _moved(given: Given, old: Key, new: Given | None) -> Given:
    """The same without one key, and with another in its stead."""
    kept = _without(given, old)
    return kept.under(new) if new else kept


def _without(given: Given, key: Key) -> Given:
    name, *below = map(str, key)
    inner = given.children()
    rest = {other: value for other, value in inner.items() if other != name}
    if below:
        rest[name] = _without(inner[name], tuple(below))
    return Given(rest, given.place)
