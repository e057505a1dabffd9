"""An explanation as the SMTP reply a client reads: same code, other words, well formed whatever the upstream said."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from relay.explain.words import clean, cut, fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.explain.page import Explanation
    from relay.smtp import Fault, Reply

_WIDTH = 76  # characters of text a line: mail programs show the lines as they are broken
_LONGEST_LINE = 512  # octets with code and CRLF (RFC 5321 section 4.5.3.1.5)
_LONGEST_REPLY = 960  # octets with codes and CRLFs; some programs show little more
_LONGEST_TITLE = 150  # characters: two lines
_LEAST_QUOTE = 60  # octets of the upstream's own words that are kept at any price
_LONGEST_QUOTE = 230  # octets of them in a full reply: three lines

_GLUE = "\u00a0"  # a blank at which no line is broken: a reference cut in two cannot be searched for


class Style(StrEnum):
    """How much is told: title, meaning, advice and the server's words; or title and the server's words in one line."""

    FULL = "full"
    SHORT = "short"


def render(explanation: Explanation, *, style: Style | str = Style.FULL, ref: str = "", utf8: bool = False) -> bytes:
    """The complete reply: `NNN-S.S.S text CRLF` ... `NNN S.S.S text CRLF`.

    Code and enhanced code are the upstream's own; where it sent no enhanced code, none is invented. The first line
    stands alone, the last holds the upstream's own words (or what was seen instead) and no full stop at its end.

    Args:
        explanation: what is to be told.
        style: full or short.
        ref: under which name the log and the history know this failure; empty for none.
        utf8: whether the client may be sent UTF-8 (RFC 6531 section 3.7.4.2); else everything is folded to ASCII.
    """
    return b"".join(line + b"\r\n" for line in render_lines(explanation, style=style, ref=ref, utf8=utf8))


def render_lines(
    explanation: Explanation, *, style: Style | str = Style.FULL, ref: str = "", utf8: bool = False
) -> tuple[bytes, ...]:
    """The lines of `render`, without CRLF."""
    told = _Told(explanation, utf8=utf8, ref=ref)
    prefix = _prefix(explanation.failure.reply)
    texts = told.short(_LONGEST_LINE - 2 - len(prefix)) if style == Style.SHORT else told.full(len(prefix) + 2)
    last = len(texts) - 1
    return tuple(
        prefix[:3] + (b" " if index == last else b"-") + prefix[4:] + text.replace(_GLUE, " ").encode("utf-8")
        for index, text in enumerate(texts)
    )


def told_lines(explanation: Explanation, *, utf8: bool = False) -> tuple[str, ...]:
    """The same words for a letter: the lines of a full reply, without codes."""
    return _Told(explanation, utf8=utf8, ref="").full(0)


class _Told:
    """One explanation being put into lines."""

    def __init__(self, explanation: Explanation, *, utf8: bool, ref: str) -> None:
        self._safe = clean if utf8 else _ascii(explanation.phrases.language)
        self._explanation = explanation
        self._ref = " " + self._phrase("ref", ref=self._safe(ref)).replace(" ", _GLUE) if ref else ""

    def full(self, overhead: int) -> tuple[str, ...]:
        page = self._explanation
        move = self._phrase("move", who=page.phrases.words[f"who-{page.who}"])
        body = [
            *_wrapped(cut(self._safe(page.title), _LONGEST_TITLE) + "."),
            *_wrapped(" ".join(filter(None, (self._own_login(), self._safe(page.meaning))))),
            *_wrapped(" ".join(filter(None, (move, self._safe(page.advice), self._tried())))),
        ]
        room = _LONGEST_REPLY - sum(len(line.encode("utf-8")) + overhead for line in body)
        return (*body, *_wrapped(self._last(min(_LONGEST_QUOTE, max(_LEAST_QUOTE, room - 3 * overhead)))))

    def short(self, room: int) -> tuple[str, ...]:
        title = cut(self._safe(self._explanation.title), _LONGEST_TITLE)
        title = ". ".join(filter(None, (title, self._own_login().rstrip("."), self._tried().rstrip("."))))
        last = self._last(max(_LEAST_QUOTE, room - len(f"{title}. ".encode())))
        return (_cut_octets(f"{title}. {last}", room),)

    def _last(self, room: int) -> str:
        reply = self._explanation.failure.reply
        if reply.fault:
            return _cut_octets(self._seen(reply.fault, reply.text), room - len(self._ref.encode())) + self._ref
        words = self._safe(reply.text)
        server = cut(self._safe(self._explanation.failure.upstream or "") or self._phrase("the-server"), 64)
        if not words:
            return self._phrase("silent", server=server) + self._ref
        frame = len(f"{self._phrase('said', server=server, words='')}{self._ref}".encode())
        quoted = _cut_octets(words.replace('"', "'"), max(_LEAST_QUOTE, room - frame))
        return self._phrase("said", server=server, words=quoted) + self._ref

    def _seen(self, fault: Fault, words: str) -> str:
        phrases, upstream = self._explanation.phrases, self._explanation.failure.upstream or ""
        return self._safe(f"{phrases.opening(fault)}: {phrases.seen(fault, words, upstream)}").rstrip(". ")

    def _own_login(self) -> str:
        """Of whose login the page speaks, where it is not that of whoever sends."""
        return self._phrase("own-login") if self._explanation.of_own_login else ""

    def _tried(self) -> str:
        """How often and how long the relay tried it, if more than once."""
        failure = self._explanation.failure
        if failure.tries < 2:
            return ""
        seconds = self._explanation.phrases.number(max(1.0, failure.tried_seconds))
        return self._phrase("tried", count=str(failure.tries), seconds=seconds)

    def _phrase(self, key: str, **blanks: str) -> str:
        return self._safe(self._explanation.phrases.said(key, **blanks))


def _prefix(reply: Reply) -> bytes:
    status = reply.status
    return f"{reply.code:03d} {status} ".encode() if status else f"{reply.code:03d} ".encode()


@cache
def _ascii(language: str) -> Callable[[str], str]:
    return lambda text: fold(clean(text), language)


def _wrapped(text: str) -> list[str]:
    """Lines broken at blanks; the standard library's textwrap takes longer than all the rest of a refusal."""
    rest, lines = text, []
    while len(rest) > _WIDTH:
        blank = rest.rfind(" ", 0, _WIDTH + 1)
        end = blank if blank > 0 else _WIDTH
        lines.append(rest[:end])
        rest = rest[end:].lstrip(" ")
    return [line for line in (*lines, rest) if line]


def _cut_octets(text: str, limit: int) -> str:
    """At most `limit` octets of UTF-8, never half a character."""
    if len(text.encode("utf-8")) <= limit:
        return text
    return text.encode("utf-8")[: max(0, limit - 3)].decode("utf-8", "ignore").rstrip() + "..."
