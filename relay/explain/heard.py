"""A reply read from text: as a person pastes it, as a log shows it, as a page's example writes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from relay.explain.failure import Failure
from relay.smtp import Phase, Reply

if TYPE_CHECKING:
    from relay.smtp import Fault

# The code opens the reply, and a blank, a hyphen or nothing follows: never a part of 192.5.7.8 or 552@qq.com.
_LINE = re.compile(r"\s*([2-5]\d\d)(?:[ \-]|$)(.*)", re.DOTALL)
_STATUS_ALONE = re.compile(r"\s*([245])\.\d{1,3}\.\d{1,3}(?:\s|$)")
_DIGITS_ALONE = re.compile(r"\s*(\d{3})\s*")
_CONTEXT = re.compile(r"\[([a-z_]+=[^\]]*)\] ?")

# The code that stands for the whole class where a text shows only an enhanced code (RFC 3463 section 2).
_OF_CLASS = {"2": 250, "4": 450, "5": 550}


def reply_from(text: str, phase: Phase | None = None, fault: Fault | None = None) -> Reply:
    """The Reply a text shows; its code is 0 where the text has neither a basic nor an enhanced code.

    Args:
        text: one reply, on one line or several, with or without its codes.
        phase: the command it answered, where that is known.
        fault: set for a reply that no server spoke.
    """
    alone = _DIGITS_ALONE.fullmatch(text)
    if alone:
        return Reply(phase, int(alone[1]), (b"",), fault)
    lines = [line for line in text.splitlines() if line.strip()] or [""]
    first = _LINE.fullmatch(lines[0])
    code = int(first[1]) if first else _code_of_status(lines[0])
    return Reply(phase, code, tuple(_words(line, code).encode("utf-8", "replace") for line in lines), fault)


def example(written: str) -> Failure:
    """The failure a page's example describes: a reply, before it perhaps its context in brackets.

    `[phase=rcpt login=no upstream=smtp.example.com] 550 5.7.1 Relaying denied`: phase, login, tls (yes, no), upstream,
    sender, recipient, user, recipients, size, size_limit.
    """
    found = _CONTEXT.match(written)
    given = dict(part.split("=", 1) for part in found[1].split()) if found else {}
    phase = given.pop("phase", None)
    reply = reply_from(written[found.end() :] if found else written, Phase(phase) if phase else None)
    known: dict[str, Any] = {key: _value(key, value) for key, value in given.items()}
    return Failure(reply, **known)


def spoken(written: str) -> str:
    """The reply of a page's example, without its context."""
    return _CONTEXT.sub("", written, count=1) if _CONTEXT.match(written) else written


def _code_of_status(line: str) -> int:
    found = _STATUS_ALONE.match(line)
    return _OF_CLASS[found[1]] if found else 0


def _words(line: str, code: int) -> str:
    """The line without the code it shares with the whole reply."""
    found = _LINE.fullmatch(line)
    return found[2].strip() if found and int(found[1]) == code else line.strip()


def _value(key: str, value: str) -> object:
    if key in ("recipients", "size", "size_limit"):
        return int(value)
    if value in ("yes", "no"):
        return value == "yes"
    return value
