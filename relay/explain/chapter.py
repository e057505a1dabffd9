"""A chapter read: YAML to pages, with every mistake of a writer named by file, line, page and key."""

from __future__ import annotations

import difflib
from dataclasses import fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from relay.explain.conditions import CODE, STATUS
from relay.explain.fill import FALLBACK, blanks
from relay.explain.page import Page, When
from relay.explain.reason import USUAL, Reason, Retry, Who
from relay.explain.servers import Server
from relay.languages import ENGLISH, LANGUAGES
from relay.smtp import Fault, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Parse = Callable[[str, str], tuple[Any, tuple[str, ...]]]  # of a file: values, and why it cannot be read

_E = TypeVar("_E", bound=StrEnum)

_REQUIRED = ("id", "reason", "title", "meaning", "advice")
_KEYS = tuple(field.name for field in fields(Page))
_CONDITIONS = tuple(field.name for field in fields(When))
_PATTERNS = ("text", "not_text", "upstream")
_YES_NO = ("login", "tls", "null_sender", "same_sender", "utf8", "eight_bit", "size_over_limit")
_PROSE = ("title", "meaning", "advice", "more")
_UNKNOWN, _ANY = "unknown", "any"  # how a page names "the phase is not known" and "at every moment, the login too"


class Mistake(NamedTuple):
    """One thing a writer must mend."""

    key: str
    found: object
    expected: str


class BookError(ValueError):
    """The pages hold mistakes; the message names every one of them."""


def read_chapter(name: str, text: str, parse: Parse | None = None) -> tuple[tuple[Page, ...], tuple[str, ...]]:
    """The pages of one file, and the mistakes in it, each as a complete sentence.

    Args:
        name: the file's name, for the messages.
        text: its content.
        parse: what makes values of it; else `parsed`.
    """
    entries, wrong = (parse or parsed)(name, text)
    if entries is None:
        return (), wrong
    if not isinstance(entries, list):
        return (), (f"{name}:1: found {kind(entries)}, expected a list of pages, each beginning with '- id: ...'",)
    pages, problems = [], []
    for index, entry in enumerate(entries):
        page, mistakes = read_page(entry)
        problems += [_sentence(name, text, index, entry, mistake) for mistake in mistakes]
        if page and not mistakes:
            pages.append(page)
    return tuple(pages), tuple(problems)


def read_servers(name: str, text: str, parse: Parse | None = None) -> tuple[tuple[Server, ...], tuple[str, ...]]:
    """The servers of `servers.yaml` (name: hosts, words), and the mistakes in it."""
    entries, broken = (parse or parsed)(name, text)
    if entries is None:
        return (), broken
    if not isinstance(entries, dict):
        return (), (f"{name}:1: found {kind(entries)}, expected servers by name, each with 'hosts:' or 'words:'",)
    wrong = [
        f"{name}: server {server}: expected only the lists 'hosts:' and 'words:', of text"
        for server, given in entries.items()
        if not (isinstance(server, str) and isinstance(given, dict) and _only_lists(given))
    ]
    if wrong:
        return (), tuple(wrong)
    return tuple(
        Server(key, tuple(given.get("hosts", ())), tuple(given.get("words", ()))) for key, given in entries.items()
    ), ()


def parsed(name: str, text: str) -> tuple[Any, tuple[str, ...]]:
    """The YAML of a file as plain values, None where it holds none, and why it cannot be read."""
    from relay.explain import yaml_text  # noqa: PLC0415 -- not needed, and slow to load, where all is kept (relay.kept)

    return yaml_text.parsed(name, text)


def _only_lists(given: dict[str, Any]) -> bool:
    return all(
        key in ("hosts", "words") and isinstance(listed, list) and all(isinstance(item, str) for item in listed)
        for key, listed in given.items()
    )


def read_page(entry: object) -> tuple[Page | None, tuple[Mistake, ...]]:
    """One page of plain YAML values checked and turned into a Page, or what is wrong with it."""
    if not isinstance(entry, dict):
        return None, (Mistake("", entry, "a page: 'id:', 'reason:', 'title:', 'meaning:', 'advice:' ..."),)
    mistakes = [*_unknown_keys(entry, _KEYS, ""), *_missing(entry)]
    reason = _one_of(Reason, entry.get("reason", Reason.UNDEFINED), "reason", mistakes)
    usual = USUAL[reason or Reason.UNDEFINED]
    when = _when(entry.get("when") or {}, mistakes)
    who = _one_of(Who, entry.get("who", usual.who), "who", mistakes)
    retry = _one_of(Retry, _spelled_no(entry.get("retry", usual.retry)), "retry", mistakes)
    prose = {key: _prose(entry, key, mistakes) for key in (*_PROSE, "id", "source", "retired", "language")}
    examples = tuple(str(item).rstrip("\n") for item in _listed(entry.get("examples", ())))
    if prose["language"] not in LANGUAGES:
        mistakes.append(Mistake("language", entry["language"], "one of " + ", ".join(LANGUAGES)))
    if mistakes or reason is None or who is None or retry is None:
        return None, tuple(mistakes)
    return Page(reason=reason, who=who, retry=retry, when=when, examples=examples, **prose), ()


def _when(given: object, mistakes: list[Mistake]) -> When:
    if not isinstance(given, dict):
        mistakes.append(Mistake("when", given, "conditions such as 'text:', 'code:', 'phase:'"))
        return When()
    mistakes += _unknown_keys(given, _CONDITIONS, "when.")
    return When(
        phase=tuple(phase for item in _listed(given.get("phase", ())) for phase in _phases(item, mistakes)),
        code=_forms(given, "code", CODE.fullmatch, 'a code such as "550", "55x" or "5xx"', mistakes),
        status=_forms(
            given, "status", STATUS.fullmatch, 'an enhanced code such as "5.7.1", "5.7.x", "x.7.1"', mistakes
        ),
        fault=tuple(
            filter(None, (_one_of(Fault, item, "when.fault", mistakes) for item in _listed(given.get("fault", ()))))
        ),
        server=tuple(str(item) for item in _listed(given.get("server", ()))),
        recipients_over=_number(given, "recipients_over", mistakes),
        **_rest(given, mistakes),
    )


def _rest(given: dict[str, Any], mistakes: list[Mistake]) -> dict[str, Any]:
    patterns = {key: _forms(given, key, _written, "a pattern (RE2), as text", mistakes) for key in _PATTERNS}
    return {**patterns, **{key: _yes_no(given, key, mistakes) for key in _YES_NO}}


def _phases(item: object, mistakes: list[Mistake]) -> tuple[Phase | None, ...]:
    if item == _ANY:
        return (*Phase, None)
    return (None if item == _UNKNOWN else _one_of(Phase, item, "when.phase", mistakes, extra=(_UNKNOWN, _ANY)),)


def _forms(
    given: dict[str, Any], key: str, fits: Callable[[str], object], expected: str, mistakes: list[Mistake]
) -> tuple[str, ...]:
    # A bare `no` in YAML is false, and 5.10 is a number: neither is what the writer meant.
    listed = _listed(given.get(key, ()))
    wrong = (item for item in listed if type(item) not in (str, int) or not fits(str(item)))  # bool is no word either
    mistakes += [Mistake(f"when.{key}", item, expected + ", in quotes") for item in wrong]
    return tuple(map(str, listed))


def _written(form: str) -> bool:
    return bool(form.strip())


def _yes_no(given: dict[str, Any], key: str, mistakes: list[Mistake]) -> bool | None:
    value = given.get(key)
    if value is not None and not isinstance(value, bool):
        mistakes.append(Mistake(f"when.{key}", value, "yes or no"))
        return None
    return value


def _number(given: dict[str, Any], key: str, mistakes: list[Mistake]) -> int | None:
    value = given.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        mistakes.append(Mistake(f"when.{key}", value, "a whole number"))
        return None
    return value


def _prose(entry: dict[str, Any], key: str, mistakes: list[Mistake]) -> str:
    value = entry.get(key, ENGLISH if key == "language" else "")
    if not isinstance(value, str):
        mistakes.append(Mistake(key, value, "text; put it in quotes if it looks like a number or holds ': '"))
        return ""
    unknown = sorted(blanks(value) - FALLBACK.keys()) if key in _PROSE else ()
    mistakes += [
        Mistake(key, "{" + name + "}", "a placeholder the book knows" + nearest(name, FALLBACK)) for name in unknown
    ]
    return " ".join(value.split()) if key != "more" else value.strip()


def _one_of(kind: type[_E], value: object, key: str, mistakes: list[Mistake], extra: tuple[str, ...] = ()) -> _E | None:
    try:
        return kind(value)  # type: ignore[arg-type]  # any value may stand in YAML; a wrong one raises
    except ValueError:
        names = [*kind, *extra]
        listed = ", ".join(names) if len(names) < 12 else f"one of the {len(names)} names of that list"
        mistakes.append(Mistake(key, value, listed + nearest(str(value), names)))
        return None


def _unknown_keys(given: dict[str, Any], known: tuple[str, ...], prefix: str) -> list[Mistake]:
    return [
        Mistake(f"{prefix}{key}", key, "one of " + ", ".join(known) + nearest(str(key), known))
        for key in given
        if key not in known
    ]


def _missing(entry: dict[str, Any]) -> list[Mistake]:
    return [Mistake(key, "nothing", f"every page has '{key}:'") for key in _REQUIRED if not entry.get(key)]


def _listed(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def _spelled_no(value: object) -> object:
    return Retry.NO if value is False else value  # YAML reads a bare `no` as false


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like this one, as the end of a sentence; empty if none is."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f' (nearest: "{near[0]}")' if near else ""


def kind(value: object) -> str:
    """What a value of YAML is, in words."""
    return {dict: "a mapping", str: "text", int: "a number", bool: "yes or no"}.get(type(value), type(value).__name__)


def _sentence(name: str, text: str, index: int, entry: object, mistake: Mistake) -> str:
    title = entry.get("id", "without id") if isinstance(entry, dict) else "not a page"
    from relay.explain.yaml_text import line_of  # noqa: PLC0415 -- as above

    line = line_of(text, index, mistake.key)
    where = f"{name}:{line}: page {index + 1} ({title})" + (f", key {mistake.key}" if mistake.key else "")
    return f"{where}: found {mistake.found!r}, expected {mistake.expected}"
