"""One client's conversation: what it may say when, what is answered here, and what is passed on.

A handler says True when it has taken its command, and False when the command must wait until all that was asked before
it is answered: so replies stay in order (RFC 2920) without a queue of them.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from relay.proxy import replies
from relay.proxy.admission import mail_refusal, recipient_fault
from relay.proxy.body import skip_octets
from relay.proxy.login import Login
from relay.proxy.offer import ehlo_lines
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.smtp.command import parse_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relay.proxy.server import ClientConnection
    from relay.proxy.service import Service
    from relay.proxy.transaction import Transaction

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0  # EHLO waits no longer for an upstream that does not answer; MAIL will say why


class Session:
    """The state of one conversation. `client` is the wire, `service` what all conversations share."""

    def __init__(self, client: ClientConnection, service: Service) -> None:
        self.client = client
        self.service = service
        self.user: str | None = None  # who has logged in, where the mechanism shows it
        self.login = Login(self)
        self.transaction: Transaction | None = None
        self.started = client.loop.time()
        self._greeting: bytes | None = None  # EHLO or HELO, once said
        self._errors = 0

    # -- what the wire tells

    @property
    def busy(self) -> bool:
        """Whether something that was asked of the upstream is not answered yet."""
        return self.transaction is not None and self.transaction.busy

    @property
    def in_transaction(self) -> bool:
        """Whether a mail is on its way."""
        return self.transaction is not None

    def hear(self, line: bytes) -> bool:
        """Take one line of the client; False: not now."""
        if self.login.listening:
            self.login.answer(line)
            return True
        verb, _, argument = line.partition(b" ")
        handler = self._COMMANDS.get(verb.upper(), Session._unknown)
        if len(line) + 2 > self.service.rules.command_line and handler is not Session._auth:  # 2: it counts the CRLF
            handler = Session._overlong
        if handler not in self._OVERLAPPING and self.busy:
            return False
        if self.service.draining and self.transaction is None and handler is not Session._quit:
            return self.dismiss(Fault.SHUTTING_DOWN)
        return handler(self, argument)

    def overlong(self) -> bool:
        """A line came that is longer than any may be; False: its turn comes later, as that of any other."""
        if self.busy:
            return False
        if self.login.listening:
            self.login.answer(b"*")
            return True
        return self._error(Fault.LINE_TOO_LONG)

    def restart(self) -> None:
        """Forget all that was said (RFC 3207 section 4.2)."""
        self._end_transaction()
        self._greeting = None
        self.login.end()
        self.user = None

    def client_gone(self) -> None:
        """The client is gone: nothing half-done may reach the upstream."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            transaction.leave(vanished=True)
        self.login.end()

    def bug(self, phase: Phase | None = None) -> None:
        """An exception nobody foresaw: the log gets the traceback, the client a temporary failure."""
        _log.exception("a bug in the conversation with a client")
        if self.busy or phase is Phase.MESSAGE:  # replies are owed, or octets on their way: out of step
            self.give_up(Fault.BUG, phase)
            return
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            transaction.drop()
        with self._last_words():
            self.refuse(Fault.BUG)
            self.client.go_on()

    def give_up(self, fault: Fault, phase: Phase | None) -> None:
        """Say so and close: after a bug nobody knows which replies are still owed."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            transaction.drop()
        with self._last_words():
            self.dismiss(fault, phase=phase)

    @contextmanager
    def _last_words(self) -> Iterator[None]:
        """Where even the explaining fails, the client hears what needs no explaining, and is not left waiting."""
        try:
            yield
        except Exception:  # noqa: BLE001 -- whatever it is
            _log.exception("a bug while a bug was answered")
            self.client.write(b"421 4.3.0 An error inside the relay\r\n")
            self.client.close()

    # -- answering

    def answer(self, reply: Reply, recipient: str | None = None) -> None:
        """Every reply to the client goes through here: good ones as they are, others explained; 421 also closes."""
        if reply.code < 400:
            self.client.write(reply.wire())
            return
        self.client.write(self.service.explained(self, reply, recipient))
        self.client.tire()
        if reply.code == 421:
            self.client.close()

    def refuse(self, fault: Fault, detail: str = "", phase: Phase | None = None) -> bool:
        """Answer with the relay's own refusal."""
        self.answer(reply_for(fault, phase, detail=detail))
        return True

    def dismiss(self, fault: Fault, detail: str = "", phase: Phase | None = None) -> bool:
        """Refuse, and close the connection."""
        self.answer(reply_for(fault, phase, self.service.pool.server.name, detail, closing=True))
        self.client.close()
        return True

    def ended(self, transaction: Transaction) -> None:
        """A transaction is over; the next MAIL may come."""
        if self.transaction is transaction:
            self.transaction = None
        if self.service.draining and not self.client.closing:
            self.dismiss(Fault.SHUTTING_DOWN)

    def _error(self, fault: Fault, detail: str = "", phase: Phase | None = None) -> bool:
        """Refuse what the client itself did wrong, and count it."""
        self._errors += 1
        if self._errors >= self.service.rules.errors:
            return self.dismiss(Fault.TOO_MANY_ERRORS)
        return self.refuse(fault, detail, phase)

    def _forget_broken(self) -> None:
        """What begins something new ends a mail whose upstream was lost: nothing of it is left there."""
        if self.transaction is not None and self.transaction.broken:
            self._end_transaction()

    def _end_transaction(self) -> None:
        if self.transaction is not None:
            self.transaction.leave()
        self.transaction = None

    # -- commands

    def _ehlo(self, argument: bytes) -> bool:
        if not argument.strip():
            return self._error(Fault.SYNTAX, "EHLO needs the name of the client", Phase.EHLO)
        self._end_transaction()
        self._greeting = argument
        offered = self.service.pool.offered()
        if offered is not None:
            self.client.write(ehlo_lines(self, offered))
        else:
            self.client.hold()
            self.service.spawn(self._look(), self.client.fail)
        return True

    async def _look(self) -> None:
        offered = await self.service.pool.look(_LOOK_SECONDS)
        self.client.write(ehlo_lines(self, offered))
        self.client.go_on()
        self.client.proceed()

    def _helo(self, argument: bytes) -> bool:
        if not argument.strip():
            return self._error(Fault.SYNTAX, "HELO needs the name of the client", Phase.EHLO)
        self._end_transaction()
        self._greeting = argument
        self.client.write(b"250 " + self.service.rules.hostname.encode("ascii", "replace") + b"\r\n")
        return True

    def _starttls(self, argument: bytes) -> bool:
        context = self.client.listener.tls
        if context is None or self.client.encrypted:
            return self._error(Fault.NOT_IMPLEMENTED, "STARTTLS is not offered here", Phase.STARTTLS)
        if argument.strip():
            return self._error(Fault.SYNTAX, "STARTTLS takes no argument", Phase.STARTTLS)
        self.client.write(replies.READY_FOR_TLS.wire())
        self.client.start_tls(context)
        return True

    def _auth(self, argument: bytes) -> bool:
        self._forget_broken()
        if self._greeting is None or self.transaction is not None:
            return self._error(Fault.BAD_SEQUENCE, "AUTH comes after EHLO and before MAIL", Phase.AUTH)
        fault = self.login.refusal()
        if fault is not None:
            return self._error(fault, phase=Phase.AUTH)
        self.login.begin(argument)
        return True

    def _mail(self, argument: bytes) -> bool:
        path = parse_path(argument, b"FROM:")
        self._forget_broken()
        if self._greeting is None or self.transaction is not None:
            detail = "MAIL inside a mail transaction" if self.transaction else "EHLO or HELO must come first"
            return self._error(Fault.BAD_SEQUENCE, detail, Phase.MAIL)
        if path is None:
            return self._error(Fault.SYNTAX, "MAIL FROM:<address> was expected", Phase.MAIL)
        refusal = mail_refusal(self, path)
        if refusal is not None:
            self.answer(refusal)
            return True
        if self.login.lost:
            return self.dismiss(Fault.LOGIN_LOST, phase=Phase.MAIL)
        self.transaction = self.client.listener.transaction(self, path)
        self.transaction.begin()
        return True

    def _rcpt(self, argument: bytes) -> bool:
        path = parse_path(argument, b"TO:")
        transaction = self.transaction
        if path is None or transaction is None:
            if self.busy:
                return False
            if transaction is None:
                return self._error(Fault.BAD_SEQUENCE, "RCPT comes after an accepted MAIL", Phase.RCPT)
            return self._error(Fault.SYNTAX, "RCPT TO:<address> was expected", Phase.RCPT)
        fault = recipient_fault(transaction, path, self.service.rules.recipients)
        if fault is None:
            transaction.recipient(path)
        elif self.busy:
            return False
        else:
            self.answer(reply_for(fault, Phase.RCPT), path.address)
        return True

    def _data(self, argument: bytes) -> bool:
        transaction = self.transaction
        if transaction is not None and not argument and (transaction.accepted or self.busy):
            transaction.data()
            return True
        if self.busy:
            return False
        if transaction is None:
            return self._error(Fault.BAD_SEQUENCE, "DATA comes after MAIL and RCPT", Phase.DATA)
        if argument:
            return self._error(Fault.SYNTAX, "DATA takes no argument", Phase.DATA)
        return self.refuse(Fault.NO_RECIPIENTS, phase=Phase.DATA)

    def _bdat(self, argument: bytes) -> bool:
        words = argument.upper().split()
        if not 1 <= len(words) <= 2 or not words[0].isdigit() or len(words[0]) > 12 or words[1:] not in ([], [b"LAST"]):
            return self._error(Fault.SYNTAX, "BDAT needs the number of octets, then LAST if no more follow", Phase.DATA)
        size, last, transaction = int(words[0]), len(words) == 2, self.transaction
        if transaction is None:
            skip_octets(self, size, reply_for(Fault.BAD_SEQUENCE, Phase.DATA, detail="BDAT comes after MAIL and RCPT"))
        elif not transaction.accepted:
            skip_octets(self, size, reply_for(Fault.NO_RECIPIENTS, Phase.DATA))
        else:
            transaction.chunk(size, last=last)
        return True

    def _rset(self, argument: bytes) -> bool:
        del argument
        if self.transaction is not None and self.transaction.reset():
            return True
        self._end_transaction()
        self.answer(replies.OK)
        return True

    def _noop(self, argument: bytes) -> bool:
        del argument
        self.answer(replies.OK)
        return True

    def _vrfy(self, argument: bytes) -> bool:
        del argument
        self.answer(replies.CANNOT_VERIFY)
        return True

    def _help(self, argument: bytes) -> bool:
        del argument
        self.answer(replies.HELP)
        return True

    def _quit(self, argument: bytes) -> bool:
        del argument
        self._end_transaction()
        self.answer(replies.BYE)
        self.client.close()
        return True

    def _not_implemented(self, argument: bytes) -> bool:
        del argument
        return self._error(Fault.NOT_IMPLEMENTED)

    # What a client says by mistake may be its password: an unknown command is never quoted, in an answer or in the log.
    def _unknown(self, argument: bytes) -> bool:
        del argument
        return self._error(Fault.UNKNOWN_COMMAND)

    def _overlong(self, argument: bytes) -> bool:
        del argument
        return self._error(Fault.LINE_TOO_LONG)

    _COMMANDS: ClassVar[dict[bytes, Callable[[Session, bytes], bool]]] = {
        b"EHLO": _ehlo,
        b"HELO": _helo,
        b"STARTTLS": _starttls,
        b"AUTH": _auth,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": _data,
        b"BDAT": _bdat,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"VRFY": _vrfy,
        b"HELP": _help,
        b"QUIT": _quit,
        **dict.fromkeys((b"EXPN", b"ETRN", b"TURN", b"ATRN", b"SEND", b"SOML", b"SAML"), _not_implemented),
        **dict.fromkeys((b"XCLIENT", b"XFORWARD", b"BURL"), _not_implemented),
    }

    # May be passed on while earlier commands are still unanswered (RFC 2920 section 3.1).
    _OVERLAPPING = (_rcpt, _data)
