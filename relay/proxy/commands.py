"""What each command of a client does: answered here, or passed on by the mail transaction.

A command says True when it is taken, and False when it must wait until all that was asked before it is answered: so
replies stay in order (RFC 2920) without a queue of them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from relay.proxy import replies
from relay.proxy.admission import mail_refusal, recipient_fault
from relay.proxy.body import skip_octets
from relay.proxy.offer import ehlo_lines
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.smtp.command import parse_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.proxy.session import Session
    from relay.smtp.capabilities import Capabilities

    Command = Callable[[Session, bytes], bool]

_LOOK_SECONDS = 5.0  # EHLO waits no longer for an upstream that does not answer; MAIL will say why


def ehlo(session: Session, argument: bytes) -> bool:
    """Greet, and tell what is offered, which the upstream has a say in."""
    if not argument.strip():
        return session.error(Fault.SYNTAX, "EHLO needs the name of the client", Phase.EHLO)
    session.end_transaction()
    session.greeting = argument
    offered = session.service.pool.offered()
    if offered is not None:
        _offer(session, offered)
    else:
        session.client.hold()
        session.service.spawn(_look(session), session.client.fail)
    return True


async def _look(session: Session) -> None:
    _offer(session, await session.service.pool.look(_LOOK_SECONDS))
    session.client.go_on()
    session.client.proceed()


def _offer(session: Session, offered: Capabilities | None) -> None:
    session.offered = offered
    session.client.write(ehlo_lines(session, offered))


def helo(session: Session, argument: bytes) -> bool:
    """Greet as of old."""
    if not argument.strip():
        return session.error(Fault.SYNTAX, "HELO needs the name of the client", Phase.EHLO)
    session.end_transaction()
    session.greeting = argument
    session.client.write(b"250 " + session.service.rules.hostname.encode("ascii", "replace") + b"\r\n")
    return True


def starttls(session: Session, argument: bytes) -> bool:
    """Go on under encryption (RFC 3207)."""
    context = session.client.listener.tls
    if context is None or session.client.encrypted:
        return session.error(Fault.NOT_IMPLEMENTED, "STARTTLS is not offered here", Phase.STARTTLS)
    if argument.strip():
        return session.error(Fault.SYNTAX, "STARTTLS takes no argument", Phase.STARTTLS)
    session.client.write(replies.READY_FOR_TLS.wire())
    session.client.start_tls(context)
    return True


def auth(session: Session, argument: bytes) -> bool:
    """Log in (RFC 4954)."""
    session.forget_broken()
    if session.greeting is None or session.transaction is not None:
        return session.error(Fault.BAD_SEQUENCE, "AUTH comes after EHLO and before MAIL", Phase.AUTH)
    fault = session.login.refusal()
    if fault is not None:
        return session.error(fault, phase=Phase.AUTH)
    session.login.begin(argument)
    return True


def mail(session: Session, argument: bytes) -> bool:
    """Begin a mail."""
    path = parse_path(argument, b"FROM:")
    session.forget_broken()
    if session.greeting is None or session.transaction is not None:
        detail = "MAIL inside a mail transaction" if session.transaction else "EHLO or HELO must come first"
        return session.error(Fault.BAD_SEQUENCE, detail, Phase.MAIL)
    if path is None:
        return session.error(Fault.SYNTAX, "MAIL FROM:<address> was expected", Phase.MAIL)
    session.forgiven = session.service.rules.recipients + 1  # recipients and DATA; until it is accepted
    refusal = mail_refusal(session, path)
    if refusal is not None:
        session.answer(refusal)
        return True
    if session.login.lost:
        return session.dismiss(Fault.LOGIN_LOST, phase=Phase.MAIL)
    session.transaction = session.client.listener.transaction(session, path)
    session.transaction.begin()
    return True


def rcpt(session: Session, argument: bytes) -> bool:
    """Name a recipient."""
    path = parse_path(argument, b"TO:")
    transaction = session.transaction
    if path is None or transaction is None:
        if session.busy:
            return False
        if transaction is None:
            return session.misplaced("RCPT comes after an accepted MAIL", Phase.RCPT)
        return session.error(Fault.SYNTAX, "RCPT TO:<address> was expected", Phase.RCPT)
    if transaction.crowded:
        return False
    fault = recipient_fault(transaction, path, session.service.rules.recipients)
    if fault is None:
        transaction.recipient(path)
    elif session.busy:
        return False
    else:
        session.answer(reply_for(fault, Phase.RCPT), path.address)
    return True


def data(session: Session, argument: bytes) -> bool:
    """Begin the message."""
    transaction = session.transaction
    argument = argument.strip()
    if transaction is not None and not argument and not transaction.chunked and (transaction.accepted or session.busy):
        transaction.data()
        return True
    if session.busy:
        return False
    if transaction is None:
        return session.misplaced("DATA comes after MAIL and RCPT", Phase.DATA)
    if argument:
        return session.error(Fault.SYNTAX, "DATA takes no argument", Phase.DATA)
    if transaction.chunked:
        return session.error(Fault.BAD_SEQUENCE, "DATA cannot follow BDAT", Phase.DATA)
    session.answer(transaction.without_recipients())
    return True


def bdat(session: Session, argument: bytes) -> bool:
    """Take a chunk of the message (RFC 3030)."""
    words = argument.upper().split()
    if not 1 <= len(words) <= 2 or not words[0].isdigit() or len(words[0]) > 12 or words[1:] not in ([], [b"LAST"]):
        return session.error(Fault.SYNTAX, "BDAT needs the number of octets, then LAST if no more follow", Phase.DATA)
    size, last, transaction = int(words[0]), len(words) == 2, session.transaction
    if transaction is None:
        mistake = partial(session.misplaced, "BDAT comes after MAIL and RCPT", Phase.DATA)
        skip_octets(session, size, mistake)
    else:
        transaction.chunk(size, last=last)
    return True


def noop(session: Session, argument: bytes) -> bool:
    """Do nothing; who asks so whether the session still serves hears of a login that was lost with the upstream."""
    del argument
    if session.login.lost and session.transaction is None:
        return session.dismiss(Fault.LOGIN_LOST, phase=Phase.MAIL)
    session.answer(replies.OK)
    return True


def rset(session: Session, argument: bytes) -> bool:
    """Give the mail up."""
    del argument
    if session.transaction is not None and session.transaction.reset():
        return True
    session.end_transaction()
    return noop(session, b"")


def quit_(session: Session, argument: bytes) -> bool:
    """Take leave."""
    del argument
    session.end_transaction()
    session.answer(replies.BYE)
    session.client.close()
    return True


def _answered(reply: Reply) -> Command:
    """A command that is only answered."""

    def command(session: Session, argument: bytes) -> bool:
        del argument
        session.answer(reply)
        return True

    return command


def _refused(fault: Fault) -> Command:
    """What a client says in vain. It is never quoted, in an answer or in the log: it may be a password, mistyped."""

    def command(session: Session, argument: bytes) -> bool:
        del argument
        return session.error(fault)

    return command


unknown = _refused(Fault.UNKNOWN_COMMAND)
overlong = _refused(Fault.LINE_TOO_LONG)
_not_implemented = _refused(Fault.NOT_IMPLEMENTED)

COMMANDS: dict[bytes, Command] = {
    b"EHLO": ehlo,
    b"HELO": helo,
    b"STARTTLS": starttls,
    b"AUTH": auth,
    b"MAIL": mail,
    b"RCPT": rcpt,
    b"DATA": data,
    b"BDAT": bdat,
    b"RSET": rset,
    b"NOOP": noop,
    b"VRFY": _answered(replies.CANNOT_VERIFY),
    b"HELP": _answered(replies.HELP),
    b"QUIT": quit_,
    **dict.fromkeys((b"EXPN", b"ETRN", b"TURN", b"ATRN", b"SEND", b"SOML", b"SAML"), _not_implemented),
    **dict.fromkeys((b"XCLIENT", b"XFORWARD", b"BURL"), _not_implemented),
}

# May be passed on while earlier commands are still unanswered (RFC 2920 section 3.1).
OVERLAPPING = (rcpt, data)
