"""Parameters of MAIL and RCPT and the extensions that they belong to: what a server hears that does not offer one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.smtp.fault import Fault, reply_for

if TYPE_CHECKING:
    from relay.smtp.capabilities import Capabilities
    from relay.smtp.command import Path
    from relay.smtp.reply import Reply

HINTS = (b"SIZE",)  # may always be left out (RFC 1870 section 3)
HINTS_LATER = (b"SIZE", b"DSN")  # and these where mail is passed on later (RFC 3461 section 5.2.2)
_TIMED = (b"DELIVERBY", b"FUTURERELEASE")  # RFC 2852, RFC 4865
_REFUSED = (500, 501, 504, 555)  # what a parameter may be refused with (RFC 5321 section 4.2.2)
_KEYWORDS = {  # of each parameter: the keyword under which EHLO offers it
    b"SIZE": b"SIZE", b"BODY": b"8BITMIME", b"SMTPUTF8": b"SMTPUTF8", b"REQUIRETLS": b"REQUIRETLS", b"AUTH": b"AUTH",
    b"RET": b"DSN", b"ENVID": b"DSN", b"NOTIFY": b"DSN", b"ORCPT": b"DSN", b"BY": b"DELIVERBY",
    b"HOLDFOR": b"FUTURERELEASE", b"HOLDUNTIL": b"FUTURERELEASE", b"MT-PRIORITY": b"MT-PRIORITY",
}  # fmt: skip


def said_to(offered: Capabilities, path: Path, hints: tuple[bytes, ...] = HINTS) -> bytes:
    """Path and parameters for a server that offers this: without those of the hints that it does not offer."""
    if not path.parameters:
        return path.octets
    left_out = [hint for hint in hints if hint not in offered]
    if not left_out:
        return path.octets + path.parameters
    return b" ".join((path.octets, *(word for word in path.parameters.split() if _keyword(word) not in left_out)))


def as_offered(  # noqa: PLR0913 -- what was said, to whom, and who had invited it
    refusal: Reply,
    path: Path,
    offered: Capabilities,
    invited: Capabilities | None,
    server: str,
    *,
    hints: tuple[bytes, ...] = HINTS,
) -> Reply:
    """The refusal; or that less is offered now, where it may be one of a parameter that was `invited` and sent.

    Else it would be told as a mistake of the client, for good. `invited` None: whatever is used had been.
    """
    if refusal.code not in _REFUSED or not path.parameters:
        return refusal
    used = filter(None, map(_keyword, path.parameters.split()))
    lacking = [word for word in used if word not in offered and word not in hints]
    if not any(invited is None or word in invited for word in lacking):
        return refusal
    return reply_for(Fault.OFFER_CHANGED, refusal.phase, server)


def is_timed(path: Path) -> bool:
    """Whether a time is set to the mail, which passes while it is kept."""
    return not set(map(_keyword, path.parameters.split())).isdisjoint(_TIMED)


def _keyword(parameter: bytes) -> bytes | None:
    return _KEYWORDS.get(parameter.partition(b"=")[0].upper())
