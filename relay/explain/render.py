"""An explanation as the SMTP reply a client reads: same code, other words, well formed whatever the upstream said."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from relay.explain.reason import Who
from relay.explain.words import clean, cut, fold
from relay.smtp import Fault

if TYPE_CHECKING:
    from relay.explain.page import Explanation
    from relay.smtp import Reply

_WIDTH = 76  # characters of text a line: mail programs show the lines as they are broken
_LONGEST_LINE = 512  # octets with code and CRLF (RFC 5321 section 4.5.3.1.5)
_LONGEST_REPLY = 960  # octets with codes and CRLFs; some programs show little more
_LONGEST_TITLE = 150  # characters: two lines
_LEAST_QUOTE = 60  # octets of the upstream's own words that are kept at any price
_LONGEST_QUOTE = 230  # octets of them in a full reply: three lines

_WHOSE_MOVE = {
    Who.SENDER: "yours",
    Who.SENDER_ADMIN: "that of your mail administrator or provider",
    Who.RECIPIENT: "the recipient's",
    Who.RECIPIENT_ADMIN: "that of the mail administrator on the recipient's side",
    Who.UPSTREAM: "that of the people who run the mail server",
    Who.NETWORK: "nobody's yet; the network between the servers failed",
    Who.SOFTWARE: "that of whoever looks after the sending program",
    Who.NOBODY: "nobody's; this is temporary by design",
    Who.UNKNOWN: "not clear, the server does not say",
}

# How the last line begins where no upstream spoke.
_SEEN = {
    Fault.GARBLED: "No usable reply came",
    Fault.OUTCOME_UNKNOWN: "No verdict came",
    Fault.BUG: "The relay failed",
    Fault.TLS: "No secure connection",
    Fault.TLS_NOT_OFFERED: "No secure connection",
    Fault.TLS_WRONG_PORT: "No secure connection",
    Fault.CERTIFICATE: "No secure connection",
    Fault.CERTIFICATE_EXPIRED: "No secure connection",
    Fault.CERTIFICATE_NOT_YET_VALID: "No secure connection",
    Fault.CERTIFICATE_NAME: "No secure connection",
    Fault.CERTIFICATE_ISSUER: "No secure connection",
}


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
        prefix[:3] + (b" " if index == last else b"-") + prefix[4:] + text.encode("utf-8")
        for index, text in enumerate(texts)
    )


class _Told:
    """One explanation being put into lines."""

    def __init__(self, explanation: Explanation, *, utf8: bool, ref: str) -> None:
        self._safe = clean if utf8 else _ascii
        self._explanation = explanation
        self._ref = f" [ref {self._safe(ref)}]" if ref else ""

    def full(self, overhead: int) -> tuple[str, ...]:
        page = self._explanation
        move = f"Whose move: {_WHOSE_MOVE[page.who]}. {self._safe(page.advice)}"
        body = [
            *_wrapped(cut(self._safe(page.title), _LONGEST_TITLE) + "."),
            *_wrapped(self._safe(page.meaning)),
            *_wrapped(move),
        ]
        room = _LONGEST_REPLY - sum(len(line.encode("utf-8")) + overhead for line in body)
        return (*body, *_wrapped(self._last(min(_LONGEST_QUOTE, max(_LEAST_QUOTE, room - 3 * overhead)))))

    def short(self, room: int) -> tuple[str, ...]:
        title = cut(self._safe(self._explanation.title), _LONGEST_TITLE)
        last = self._last(max(_LEAST_QUOTE, room - len(f"{title}. ".encode())))
        return (_cut_octets(f"{title}. {last}", room),)

    def _last(self, room: int) -> str:
        reply = self._explanation.failure.reply
        words = self._safe(reply.text)
        if reply.fault:
            said = f"{_opening(reply.fault)}: {words}"
            return _cut_octets(said.rstrip(". "), room - len(self._ref.encode())) + self._ref
        who = self._safe(self._explanation.failure.upstream or "") or "The server"
        if not words:
            return f"{cut(who, 64)} said nothing but this code{self._ref}"
        opening = f'{cut(who, 64)} said: "'
        frame = len(f'{opening}"{self._ref}'.encode())
        quoted = _cut_octets(words.replace('"', "'"), max(_LEAST_QUOTE, room - frame))
        return f'{opening}{quoted}"{self._ref}'


def _opening(fault: Fault) -> str:
    return "This relay refused it" if fault.ours else _SEEN.get(fault, "No reply came")


def _prefix(reply: Reply) -> bytes:
    status = reply.status
    return f"{reply.code:03d} {status} ".encode() if status else f"{reply.code:03d} ".encode()


def _ascii(text: str) -> str:
    return fold(clean(text))


def _wrapped(text: str) -> list[str]:
    """Lines broken at blanks; the standard library's textwrap takes longer than all the rest of a refusal."""
    rest = text.replace(" [ref ", " [ref\u00a0")  # a reference cut in two cannot be searched for
    lines = []
    while len(rest) > _WIDTH:
        blank = rest.rfind(" ", 0, _WIDTH + 1)
        end = blank if blank > 0 else _WIDTH
        lines.append(rest[:end])
        rest = rest[end:].lstrip(" ")
    return [line.replace("\u00a0", " ") for line in (*lines, rest) if line]


def _cut_octets(text: str, limit: int) -> str:
    """At most `limit` octets of UTF-8, never half a character."""
    if len(text.encode("utf-8")) <= limit:
        return text
    return text.encode("utf-8")[: max(0, limit - 3)].decode("utf-8", "ignore").rstrip() + "..."
