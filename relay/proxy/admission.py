"""Whether a client may send this mail: the listener's rules and the operator's limits, decided in plain functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.smtp import Fault, Phase, Reply, reply_for

if TYPE_CHECKING:
    from relay.proxy.session import Session
    from relay.proxy.transaction import Transaction
    from relay.smtp.command import Path


def mail_refusal(session: Session, sender: Path) -> Reply | None:
    """Why this client may not send (yet), or not this: no TLS, no login or a refused one, a mail too big."""
    client, login = session.client, session.login
    if login.refused is not None:
        return login.refused
    if client.listener.tls_required and not client.encrypted:
        return reply_for(Fault.TLS_REQUIRED, Phase.MAIL)
    if not login.done and not client.listener.trusts(client.address):
        return reply_for(Fault.LOGIN_REQUIRED, Phase.MAIL)
    fault = _octets_fault(sender, utf8=sender.utf8)
    if fault is not None:
        return reply_for(fault, Phase.MAIL)
    limit, size = session.service.rules.message_size, sender.declared_size
    if limit is not None and size is not None and size > limit:
        detail = f"the message has {size} octets, the limit is {limit}"
        return reply_for(Fault.MESSAGE_TOO_BIG, Phase.MAIL, detail=detail)
    return None


def recipient_fault(transaction: Transaction, recipient: Path, limit: int) -> Fault | None:
    """Why this recipient cannot be added."""
    if transaction.named >= limit:
        return Fault.TOO_MANY_RECIPIENTS
    return _octets_fault(recipient, utf8=transaction.sender.utf8)


def _octets_fault(path: Path, *, utf8: bool) -> Fault | None:
    """Octets above 127 may stand in a path, or in a parameter, only where SMTPUTF8 is declared (RFC 6531)."""
    if utf8 or path.wire.isascii():
        return None
    return Fault.SYNTAX if path.octets.isascii() else Fault.UTF8_NOT_DECLARED
