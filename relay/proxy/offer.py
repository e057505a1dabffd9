"""What the relay offers in its EHLO reply: what can be passed on of the upstream's, and what is its own."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from relay.networks import is_loopback
from relay.smtp import Phase, Reply
from relay.smtp.capabilities import NOTHING, Capabilities

if TYPE_CHECKING:
    from relay.proxy.session import Session

# The upstream was never reached: a program that must log in is let to, so that it hears why its mail cannot go now.
_UNKNOWN_MECHANISMS = (b"PLAIN", b"LOGIN")
_OFFERS = 128  # remembered: each connection to the upstream has its own


class _Offer(NamedTuple):
    """What an EHLO reply depends on."""

    hostname: str
    upstream: Capabilities | None
    own_limit: int | None
    secure: bool  # the way behind us
    chunking: bool
    starttls: bool
    login: bool


def ehlo_lines(session: Session, offered: Capabilities | None) -> bytes:
    """The EHLO reply as it goes to the client (RFC 5321 section 4.1.1.1); None: the upstream was never reached."""
    client, rules, pool = session.client, session.service.rules, session.service.pool
    return _lines(
        _Offer(
            hostname=rules.hostname,
            upstream=offered,
            own_limit=rules.message_size,
            secure=pool.last_secure,
            chunking=client.listener.chunking and not rules.normalize_newlines,  # a chunk's octets are counted
            starttls=client.listener.tls is not None and not client.encrypted,
            login=login_possible(session),
        )
    )


@lru_cache(_OFFERS)
def _lines(offer: _Offer) -> bytes:
    upstream = offer.upstream or NOTHING
    lines = [offer.hostname.encode("ascii", "replace"), b"PIPELINING"]
    if b"SIZE" in upstream:
        lines.append(_size(upstream.size_limit, offer.own_limit))
    lines += upstream.passed_on(tls=offer.secure, chunking=offer.chunking)
    if offer.starttls:
        lines.append(b"STARTTLS")
    mechanisms = _UNKNOWN_MECHANISMS if offer.upstream is None else upstream.mechanisms
    if mechanisms and offer.login:
        lines.append(b"AUTH " + b" ".join(mechanisms))
    return Reply(Phase.EHLO, 250, tuple(lines)).wire()


def login_possible(session: Session) -> bool:
    """Whether a login may be passed through: not where the relay has its own, nor in clear beyond this machine."""
    client = session.client
    server = session.service.pool.server
    private = client.encrypted or (is_loopback(client.address) and not client.listener.tls_required)
    return private and server.login is None and server.protects_logins


def _size(upstream: int | None, own: int | None) -> bytes:
    limits = [limit for limit in (upstream, own) if limit is not None]
    return b"SIZE %d" % min(limits) if limits else b"SIZE"
