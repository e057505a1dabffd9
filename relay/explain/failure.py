"""One thing that went wrong, as a fact: the reply that was heard and what is known of the moment it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.smtp import Reply


@dataclass(frozen=True, slots=True)
class Failure:
    """A refusal (4xx, 5xx) or a fault, with its context; no opinion in it. None means "not known".

    A page of the book may ask for any of these; see `relay.explain.book`.
    """

    reply: Reply
    upstream: str | None = None  # host name of the server behind us
    sender: str | None = None  # the path of MAIL FROM without its brackets; "" is the null sender
    recipient: str | None = None  # the path of the RCPT TO that was refused; None where the whole message was
    recipients: int | None = None  # how many were named so far
    login: bool | None = None  # whether somebody has logged in at the upstream, this client or the relay itself
    own_login: bool | None = None  # whether the relay logs in itself, with what stands in its settings
    user: str | None = None  # the name it logged in with, where the mechanism shows it
    tls: bool | None = None  # whether the way to the upstream is encrypted
    size: int | None = None  # octets of the message, declared or counted
    size_limit: int | None = None  # the upstream's SIZE (RFC 1870)
    eight_bit: bool | None = None  # whether the message declared BODY=8BITMIME
    utf8: bool = False  # whether this transaction uses SMTPUTF8 (RFC 6531): replies may then hold UTF-8
    tries: int = 1  # how often the relay has tried it, and for how many seconds altogether
    tried_seconds: float = 0.0

    @property
    def over_limit(self) -> bool | None:
        """Whether the message is larger than the upstream says it takes."""
        return None if self.size is None or not self.size_limit else self.size > self.size_limit
