"""One client's conversation: which command it says when, how it is answered, and how it ends."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from relay.proxy import commands
from relay.proxy.commands import COMMANDS, OVERLAPPING
from relay.proxy.login import Login
from relay.smtp import Fault, Phase, Reply, reply_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.proxy.server import ClientConnection
    from relay.proxy.service import Service
    from relay.proxy.transaction import Transaction
    from relay.smtp.capabilities import Capabilities
    from relay.upstream.server import Server

_log = logging.getLogger(__name__)


class Session:
    """The state of one conversation. `client` is the wire, `service` what all conversations share."""

    def __init__(self, client: ClientConnection, service: Service) -> None:
        self.client = client
        self.service = service
        self.user: str | None = None  # who has logged in, where the mechanism shows it
        self.login = Login(self)
        self.transaction: Transaction | None = None
        self.started = client.loop.time()
        self.greeting: bytes | None = None  # EHLO or HELO, once said
        self.offered: Capabilities | None = None  # what EHLO has told the client of the upstream
        self.forgiven = 0  # commands that may come behind a MAIL which was refused, from a client that did not know yet
        self._errors = 0

    # -- what the wire tells

    @property
    def busy(self) -> bool:
        """Whether something that was asked of the upstream is not answered yet."""
        return self.transaction.busy if self.transaction is not None else self.login.busy

    @property
    def server(self) -> Server:
        """The upstream that this client's words go to, or would go to now."""
        return self.transaction.server if self.transaction is not None else self.login.server

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
        command = COMMANDS.get(verb.upper())
        if command is None:  # a tab is a blank as well
            verb, _, argument = line.replace(b"\t", b" ", 1).partition(b" ")
            command = COMMANDS.get(verb.upper(), commands.unknown)
        if len(line) + 2 > self.service.rules.command_line and command is not commands.auth:  # 2: it counts the CRLF
            command = commands.overlong
        if command not in OVERLAPPING and self.busy:
            return False
        if self.service.draining and self.transaction is None and command is not commands.quit_:
            return self.dismiss(Fault.SHUTTING_DOWN)
        return command(self, argument)

    def overlong(self) -> bool:
        """A line came that is longer than any may be; False: its turn comes later, as that of any other."""
        if self.busy:
            return False
        if self.login.listening:
            self.login.answer(b"*")
            return True
        return self.error(Fault.LINE_TOO_LONG)

    def restart(self) -> None:
        """Forget all that was said (RFC 3207 section 4.2)."""
        self.end_transaction()
        self.greeting = None
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

    def cut_short(self) -> None:
        """The time to finish is over. Once the final dot may have left, nobody can say that the mail was not sent."""
        transaction = self.transaction
        if transaction is not None and transaction.body is not None and transaction.body.complete:
            self.dismiss(Fault.OUTCOME_UNKNOWN, phase=Phase.MESSAGE)
            transaction.body = None  # this was its verdict
        else:
            self.dismiss(Fault.SHUTTING_DOWN)

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
        if self.client.closing and reply.phase is not Phase.MESSAGE:  # a verdict is worth a line of the log even then
            return  # nobody hears it any more
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
        self.answer(reply_for(fault, phase, self.server.name, detail, closing=True))
        self.client.close()
        return True

    def ended(self, transaction: Transaction) -> None:
        """A transaction is over; the next MAIL may come."""
        if self.transaction is transaction:
            self.transaction = None
        if self.service.draining and not self.client.closing:
            self.dismiss(Fault.SHUTTING_DOWN)

    def error(self, fault: Fault, detail: str = "", phase: Phase | None = None) -> bool:
        """Refuse what the client itself did wrong, and count it."""
        self._errors += 1
        if self._errors >= self.service.rules.errors:
            return self.dismiss(Fault.TOO_MANY_ERRORS)
        return self.refuse(fault, detail, phase)

    def misplaced(self, detail: str, phase: Phase) -> bool:
        """Refuse what belongs to no mail; no error of a client that has said it behind a MAIL, not knowing its fate."""
        if self.forgiven:
            self.forgiven -= 1
            return self.refuse(Fault.BAD_SEQUENCE, detail, phase)
        return self.error(Fault.BAD_SEQUENCE, detail, phase)

    def forget_broken(self) -> None:
        """What begins something new ends a mail whose upstream was lost: nothing of it is left there."""
        if self.transaction is not None and self.transaction.broken:
            self.end_transaction()

    def end_transaction(self) -> None:
        """Let go of the mail that is on its way, if one is."""
        if self.transaction is not None:
            self.transaction.leave()
        self.transaction = None
        self.forgiven = 0
