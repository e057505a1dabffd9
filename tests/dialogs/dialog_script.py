"""Reads a dialog: what the client says and hears, and what the upstream says and hears, in one readable file.

    # a comment; the first one says what the dialog proves
    settings: limits.recipients=2 upstream.url=smtp://{upstream}
    ready                              client and upstream are greeted and have said EHLO (see `dialog_player`)
    client> MAIL FROM:<a@b.test>       said, with CRLF; sayings that follow one another leave in one piece
    client>> NOOP\\r\\nNO              said as it stands, without CRLF
    upstream< MAIL FROM:<a@b.test>     one line that must be heard, octet for octet; * stands for anything
    upstream<< ab\\r\\n                octets that must be heard
    upstream> 550 5.1.1 No such user
    client< 550 5.1.1 ... No such user                   a whole reply: code and status on each line, these words
    client< 500 5.5.1 ... never: secret                  and words that must not be in it
    upstream< closed                   the other side has closed
    upstream: close                    also: reset, accept (the next connection), ready (accept, greeting, EHLO), down
    client: half-close                 also: close, reset, connect (a second client, the first being left open)

Escapes: \\r \\n \\t \\\\ \\* and \\xNN. Text that is not ASCII stands for its UTF-8 octets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_STEP = re.compile(r"(client|upstream)(>>|<<|>|<|:) ?(.*)")
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_NAMED = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"\\": b"\\", b"*": b"*"}


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a dialog."""

    number: int
    side: str
    sign: str
    text: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.side}{self.sign} {self.text}"


@dataclass(frozen=True, slots=True)
class Script:
    """A whole dialog."""

    settings: tuple[str, ...]
    steps: tuple[Step, ...]


def parse(text: str) -> Script:
    """Read a dialog.

    Raises:
        ValueError: a line is none of the forms above.
    """
    settings: list[str] = []
    steps: list[Step] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()  # noqa: PLW2901 -- a blank at the end is written \x20
        if not line or line.startswith("#"):
            continue
        if line.startswith("settings:"):
            settings += line.removeprefix("settings:").split()
        elif line == "ready":
            steps.append(Step(number, "both", ":", "ready"))
        elif found := _STEP.fullmatch(line):
            steps.append(Step(number, *found.groups()))
        else:
            raise ValueError(f"line {number} is no line of a dialog: {line}")
    return Script(tuple(settings), tuple(steps))


def octets(text: str) -> bytes:
    """The octets that a text with escapes stands for."""
    return _ESCAPE.sub(_unescaped, text.encode())


def pattern(text: str) -> re.Pattern[bytes]:
    """A text with escapes and `*` for anything, as a regular expression."""
    parts = re.split(r"(?<!\\)\*", text)
    return re.compile(b".*".join(re.escape(octets(part)) for part in parts), re.DOTALL)


def _unescaped(found: re.Match[bytes]) -> bytes:
    name = found[1]
    return bytes([int(name[1:], 16)]) if len(name) == 3 else _NAMED[name]
