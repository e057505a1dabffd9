"""Replies found in what people keep of a failure: a bounce, a line of a log, the text of an exception."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from relay.explain.failure import Failure
from relay.explain.heard import reply_from
from relay.smtp import Fault, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

# What stands before a reply in the logs and exceptions of known programs; the code itself follows.
_LEAD = r"(?:^[ \t]*|[:=] ?|reply=|['\"(\[]|<[-~*]+ +|<<< )"
_REPLY = re.compile(
    _LEAD + r"(?P<reply>(?P<code>[45]\d\d)(?=[ -]\S)(?! ?[kmg]?b\b)[^\n]*(?:\n[ \t]*(?P=code)[ -][^\n]*)*)",
    re.MULTILINE | re.IGNORECASE,
)
_PYTHON = re.compile(r"\((?P<code>[45]\d\d), b(?P<quote>['\"])(?P<text>(?:\\.|(?!(?P=quote)).)*)(?P=quote)")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|([nrt'\"\\]))")
_NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"'": b"'", b'"': b'"', b"\\": b"\\"}
_PHP = re.compile(r"SMTP code: (?P<code>[45]\d\d)(?: Additional SMTP info: (?P<status>[45]\.\d+\.\d+))?")

_TAIL = re.compile(r" ?\(in reply to [^)]*\)\)?\s*$|['\"],?\s*$")
_PHASES: tuple[tuple[re.Pattern[str], Phase], ...] = tuple(
    (re.compile(words, re.IGNORECASE), phase)
    for words, phase in (
        (r"end of (?:data|message)|after (?:pipelined )?(?:\.|end)|SMTPDataError|message failed", Phase.MESSAGE),
        (r"SMTPRecipientsRefused|(?:to|after(?: pipelined)?) RCPT TO|RCPT TO command|recipients were", Phase.RCPT),
        (r"SMTPSenderRefused|(?:to|after(?: pipelined)?) MAIL FROM|MAIL FROM command", Phase.MAIL),
        (r"SMTPAuthenticationError|AUTH command|invalid login|authentication failed for", Phase.AUTH),
        (r"to DATA command|after DATA\b", Phase.DATA),
        (r"(?:EHLO|HELO) command|after (?:EHLO|HELO)|SMTPHeloError", Phase.EHLO),
        (r"refused to talk to me|initial connection|SMTPConnectError", Phase.CONNECT),
        (r"STARTTLS command|after STARTTLS", Phase.STARTTLS),
    )
)
_UPSTREAM = re.compile(r"(?:host |relay=|H=)(?P<host>[A-Za-z0-9.-]+\.[A-Za-z]{2,})")
_RECIPIENT = re.compile(
    r"(?:to=|RCPT TO:|\*\* )<?(?P<address>[^\s<>,]+@[^\s<>,:]+)|\{['\"](?P<key>[^'\"\s]+@[^'\"\s]+)['\"]: \("
)

_FIELD = re.compile(r"^(?P<name>[A-Za-z-]+):[ \t]*(?P<value>.*(?:\n[ \t]+.*)*)", re.MULTILINE)
_REFUSED = ("failed", "delayed")  # other actions of RFC 3464 section 2.3.3 are no failures
_KIND = re.compile(r"^\s*[A-Za-z0-9-]+\s*;\s*")


def failures_in(text: str) -> tuple[Failure, ...]:
    """Every distinct refusal in a text, in the order of its appearance; empty where there is none.

    Args:
        text: a bounce (RFC 3464), some lines of a log (Postfix, Exim, sendmail and others), or an exception's text
            (Python, nodemailer, PHPMailer, Jakarta Mail and others). History within one reply stays part of it.
    """
    text = text.replace("\r\n", "\n")
    found = list(_of_bounce(text)) or list(_of_events(text)) or list(_of_log(text))
    seen: dict[tuple[int, str, str | None], Failure] = {}
    for failure in found:
        seen.setdefault((failure.reply.code, failure.reply.text, failure.recipient), failure)
    return tuple(seen.values())


def _of_bounce(text: str) -> Iterator[Failure]:
    """One failure for each recipient of a delivery report: its Diagnostic-Code, or its Status alone."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields = {field["name"].lower(): field["value"] for field in _FIELD.finditer(paragraph)}
        if "final-recipient" not in fields or fields.get("action", "failed").strip().lower() not in _REFUSED:
            continue
        said = _value(fields.get("diagnostic-code", "")) or fields.get("status", "")
        remote = _value(fields.get("remote-mta", "")) or None
        yield Failure(reply_from(said), upstream=remote, recipient=_value(fields["final-recipient"]) or None)


def _of_events(text: str) -> Iterator[Failure]:
    """The relay's own log: JSON lines with the event `relay_failure`. What is only like one is passed over."""
    for line in text.splitlines():
        if '"relay_failure"' in line and line.lstrip().startswith("{"):
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                yield _of_event(json.loads(line))


def _of_event(event: dict[str, Any]) -> Failure:
    said = "\n".join(f"{event['code']} {words}" for words in event["words"])
    phase, fault, tls = event.get("phase"), event.get("fault"), event.get("tls")
    upstream, sender, recipient = (
        found if isinstance(found := event.get(key), str) else None for key in ("upstream", "sender", "recipient")
    )
    reply = reply_from(said, Phase(phase) if phase else None, Fault(fault) if fault else None)
    return Failure(reply, upstream, sender, recipient, tls=tls if isinstance(tls, bool) else None)


def _of_log(text: str) -> Iterator[Failure]:
    for found in _PYTHON.finditer(text):
        lines = (f"{found['code']} {line}" for line in _unescaped(found["text"]).splitlines())
        yield _failure("\n".join(lines) or found["code"], text, found.start())
    if _PYTHON.search(text):
        return
    for found in _REPLY.finditer(text):
        yield _failure(_TAIL.sub("", found["reply"]), text, found.start("reply"))
    for found in _PHP.finditer(text):
        yield _failure(f"{found['code']} {found['status'] or ''}", text, found.start())


def _unescaped(literal: str) -> str:
    """What stands in a bytes literal of Python; an escape that is none stays as it is."""
    octets = _ESCAPE.sub(
        lambda found: bytes([int(found[1], 16)]) if found[1] else _NAMED[found[2]], literal.encode("utf-8", "replace")
    )
    return octets.decode("utf-8", "replace")


def _failure(said: str, text: str, at: int) -> Failure:
    """The failure of one reply, with what the line (or the line before a block) tells about it."""
    begin = text.rfind("\n", 0, max(0, text.rfind("\n", 0, at))) + 1
    end = text.find("\n", at + len(said))
    around = text[begin : end if end >= 0 else len(text)]
    phase = next((phase for words, phase in _PHASES if words.search(around)), None)
    host, recipient = _UPSTREAM.search(around), _RECIPIENT.search(around)
    return Failure(
        reply_from(said, phase),
        upstream=host["host"] if host else None,
        recipient=(recipient["address"] or recipient["key"]) if recipient else None,
    )


def _value(field: str) -> str:
    """A field of RFC 3464 without its type (`smtp; 550 ...`), unfolded; a reply's own lines stay lines."""
    return _KIND.sub("", re.sub(r"\n[ \t]+(?=[45]\d\d[ -])", "\n", field).replace("\n ", " ")).strip()
