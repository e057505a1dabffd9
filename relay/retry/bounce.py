"""Letters to the sender of a mail that failed, or is late (RFC 3464, RFC 3461, RFC 6533); pure.

A bounce goes out under the null sender, and a mail with the null sender causes none: so there can be no loop.
"""

from __future__ import annotations

import quopri
import re
from contextlib import suppress
from email.errors import MessageError
from email.header import Header, decode_header, make_header
from email.utils import format_datetime
from typing import TYPE_CHECKING, NamedTuple

from relay.explain.render import told_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from relay.explain.page import Explanation
    from relay.retry.letter import Letter, Recipient
    from relay.smtp.command import Path

_PARAMETER = re.compile(rb"\s([A-Za-z0-9-]+)=(\S+)")
_XTEXT = re.compile(rb"\+([0-9A-F]{2})")  # RFC 3461 section 4
_EMBEDDED = re.compile(rb"\\x\{([0-9A-F]{2,6})\}")  # RFC 6533 section 3
_HEADER_END = b"\r\n\r\n"
_SUBJECT = re.compile(rb"^subject:[ \t]*((?:[^\r\n]|\r\n[ \t])*)", re.IGNORECASE | re.MULTILINE)
_FOLD = 76
_SUBJECT_OCTETS, _SUBJECT_LETTERS = 1000, 120  # read and shown: to decode more takes time without end


class Told(NamedTuple):
    """Somebody the mail did not reach, and what the book says of it."""

    recipient: Recipient
    explanation: Explanation


class Report(NamedTuple):
    """What the relay has to tell: `late` where it goes on trying until `until`, else it has given up."""

    id: str
    letter: Letter
    told: tuple[Told, ...]
    original: bytes  # the message or its header, without transparency (dots)
    reporter: str  # the relay's name
    upstream: str  # the host that was to take it
    now: datetime
    arrived: datetime
    until: datetime | None = None

    @property
    def late(self) -> bool:
        """Whether the mail may still arrive."""
        return self.until is not None


def wants(recipient: Path, event: bytes) -> bool:
    """Whether the sender wants to hear of this event: FAILURE or DELAY (RFC 3461 section 4.1; both by default)."""
    notify = _parameters(recipient).get(b"NOTIFY")
    return notify is None or event in notify.upper().split(b",")


def wants_whole(sender: Path) -> bool:
    """Whether the sender wants the whole message back, and not only its header (RFC 3461 section 4.3)."""
    return _parameters(sender).get(b"RET", b"").upper() == b"FULL"


def header_of(message: bytes) -> bytes:
    """The header of a message that may be cut off anywhere."""
    return message.partition(_HEADER_END)[0] + b"\r\n" if not message.startswith(b"\r\n") else b""


def parameters_of(message: bytes, *, utf8: bool) -> bytes:
    """The parameters of MAIL that a letter of ours needs."""
    return (b"" if message.isascii() else b" BODY=8BITMIME") + (b" SMTPUTF8" if utf8 else b"")


def compose(report: Report) -> bytes:
    """The whole letter (multipart/report)."""
    boundary = f"=_{report.id}"
    utf8 = report.letter.sender.utf8
    status_type = "message/global-delivery-status" if utf8 else "message/delivery-status"
    status = "\r\n".join(_status(report)).encode()
    parts = (
        _human_part(report),
        _part(status_type, status),
        _part(_original_type(report), report.original),
    )
    fence = f"--{boundary}".encode()
    body = b"".join(fence + b"\r\n" + part + b"\r\n" for part in parts)
    return "\r\n".join(_header(report, boundary)).encode() + b"\r\n\r\n" + body + fence + b"--\r\n"


def _header(report: Report, boundary: str) -> Iterator[str]:
    subject = _subject(report)
    yield f"From: Mail relay <MAILER-DAEMON@{report.reporter}>"
    yield f"To: <{_shown(report.letter.sender, report)}>"
    yield f"Subject: {subject if subject.isascii() or report.letter.sender.utf8 else Header(subject, 'utf-8').encode()}"
    yield f"Date: {format_datetime(report.now)}"
    yield f"Message-ID: <{report.id}@{report.reporter}>"
    yield "Auto-Submitted: auto-replied"
    yield "MIME-Version: 1.0"
    yield f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"'


def _human_part(report: Report) -> bytes:
    text = "\r\n".join(_words(report)) + "\r\n"
    if text.isascii():
        return b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + text.encode()
    encoded = quopri.encodestring(text.replace("\r\n", "\n").encode()).replace(b"\n", b"\r\n")
    return b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + encoded


def _subject(report: Report) -> str:
    phrases = report.told[0].explanation.phrases
    names = ", ".join(_shown(told.recipient.path, report) for told in report.told[:3])
    if len(report.told) > 3:
        names = phrases.said("letter-more", recipients=names, number=str(len(report.told) - 3))
    return phrases.said("letter-subject-late" if report.late else "letter-subject-failed", recipients=names)


def _words(report: Report) -> Iterator[str]:
    said = report.told[0].explanation.phrases.said
    found = _SUBJECT.search(report.original)
    subject = " " + said("letter-subject", subject=_decoded_subject(found[1])) if found and found[1].strip() else ""
    arrived = f"{report.arrived:%Y-%m-%d %H:%M %Z}"
    yield said("letter-late" if report.late else "letter-failed", time=arrived, subject=subject)
    if report.until is not None:
        yield said("letter-until", time=f"{report.until:%Y-%m-%d %H:%M %Z}")
    else:
        yield said("letter-tries", count=str(report.letter.attempts + 2))  # once live, and now
    for told in report.told:
        yield from ("", f"{_shown(told.recipient.path, report)}", "")
        yield from (f"    {line}" for line in told_lines(told.explanation, utf8=True))


def _status(report: Report) -> Iterator[str]:
    envelope_id = _parameters(report.letter.sender).get(b"ENVID")
    if envelope_id is not None:
        yield f"Original-Envelope-Id: {_xtext(envelope_id)}"
    yield f"Reporting-MTA: dns; {report.reporter}"
    yield f"Arrival-Date: {format_datetime(report.arrived)}"
    for told in report.told:
        yield ""
        yield from _recipient_fields(told.recipient, report)
    yield ""


def _recipient_fields(recipient: Recipient, report: Report) -> Iterator[str]:
    said = recipient.said
    original = _parameters(recipient.path).get(b"ORCPT")
    if original is not None:
        kind, _, address = _xtext(original).partition(";")
        yield f"Original-Recipient: {kind}; {address}"
    yield f"Final-Recipient: {_typed(_shown(recipient.path, report))}"
    yield f"Action: {'delayed' if report.late else 'failed'}"
    yield f"Status: {said.status or f'{said.code // 100}.0.0'}"
    if said.fault is None:
        yield f"Remote-MTA: dns; {report.upstream}"
        lines = [f"{said.code} {line.decode('utf-8', 'replace')}" for line in said.lines]
        yield _folded("Diagnostic-Code: smtp;", lines, utf8=report.letter.sender.utf8)
    else:
        yield _folded("Diagnostic-Code: x-explaining-relay;", [said.text], utf8=report.letter.sender.utf8)
    yield f"Last-Attempt-Date: {format_datetime(report.now)}"
    if report.until is not None:
        yield f"Will-Retry-Until: {format_datetime(report.until)}"


def _folded(name: str, lines: Iterable[str], *, utf8: bool) -> str:
    """A field of words; what came from a server cannot begin another."""
    text = " ".join("".join(letter if letter.isprintable() else "?" for letter in line) for line in lines)
    words = (text if utf8 else text.encode("ascii", "replace").decode()).split()
    folded = [name]
    for word in words:
        for start in range(0, len(word), _FOLD):
            piece = word[start : start + _FOLD]
            if len(folded[-1]) + len(piece) < _FOLD:
                folded[-1] += f" {piece}"
            else:
                folded.append(f" {piece}")
    return "\r\n".join(folded)


def _original_type(report: Report) -> str:
    utf8 = report.letter.sender.utf8
    if wants_whole(report.letter.sender) and _HEADER_END in report.original:
        return "message/global" if utf8 else "message/rfc822"
    return "message/global-headers" if utf8 else "text/rfc822-headers"


def _part(content_type: str, octets: bytes) -> bytes:
    encoding = "7bit" if octets.isascii() else "8bit"
    return f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + octets


def _shown(path: Path, report: Report) -> str:
    """An address; not ASCII only where the mail itself used SMTPUTF8."""
    address = path.address
    return address if report.letter.sender.utf8 else address.encode("ascii", "replace").decode()


def _typed(address: str) -> str:
    return f"{'rfc822' if address.isascii() else 'utf-8'}; {address}"


def _parameters(path: Path) -> dict[bytes, bytes]:
    return {name.upper(): value for name, value in _PARAMETER.findall(path.parameters)}


def _xtext(value: bytes) -> str:
    plain = _XTEXT.sub(lambda found: bytes([int(found[1], 16)]), value)
    embedded = _EMBEDDED.sub(lambda found: _character(int(found[1], 16)), plain)
    return "".join(letter if letter.isprintable() else "?" for letter in embedded.decode("utf-8", "replace"))


def _character(number: int) -> bytes:
    return chr(number).encode("utf-8", "replace") if number < 0x110000 else b"?"


def _decoded_subject(raw: bytes) -> str:
    words = b" ".join(raw[:_SUBJECT_OCTETS].split()).decode("utf-8", "replace")
    with suppress(LookupError, ValueError, MessageError):  # else it is shown as it stands
        words = str(make_header(decode_header(words)))
    return "".join(letter if letter.isprintable() else "?" for letter in words)[:_SUBJECT_LETTERS]
