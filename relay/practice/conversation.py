"""One client's conversation with the practice upstream: aiosmtpd's commands, and a scenario where one is due."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from relay.practice.hooks import SIZE_LIMIT, Hooks, Login, Transaction
from relay.practice.scenario import Behaviour, Scenario
from relay.practice.scenarios import find
from relay.smtp import Phase

if TYPE_CHECKING:
    from asyncio import BaseTransport

    from relay.practice.desk import Desk

_LAST_WORDS = frozenset({421, 521})  # the codes after which a server closes the connection
_LINE_LIMIT = 65_536  # octets; this server is to accept whatever the relay passes on
_IDLE_SECONDS = 900.0  # longer than any wait of the relay, so that it is the relay who gives up on `never-replies`
_PROMISES = frozenset({Phase.CONNECT, Phase.EHLO})
_AFTER_RCPT = frozenset({Phase.DATA, Phase.MESSAGE})
_BY_SENDER = _PROMISES | _AFTER_RCPT | {Phase.MAIL}
_BY_RECIPIENT = _AFTER_RCPT | {Phase.RCPT}
_PATH = re.compile(r'(?:FROM|TO):\s*(?:<((?:"(?:\\.|[^"\\])*"|[^>"])*)>|(\S+))', re.IGNORECASE)
_SIZE = re.compile(r"\sSIZE=(\d{1,20})(?!\S)", re.IGNORECASE)


class Conversation(SMTP):
    """aiosmtpd's conversation, made to accept whatever the relay passes on, and to refuse by name."""

    line_length_limit = _LINE_LIMIT
    command_size_limit = _LINE_LIMIT
    AuthLoginUsernameChallenge = "Username:"  # the only words that every mail program understands
    AuthLoginPasswordChallenge = "Password:"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._transaction = Transaction()
        self.promised: Scenario | None = None
        self._login: tuple[Scenario, str] | None = None
        # an own dict: aiosmtpd's is shared by all connections and emptied by each new one
        self.command_size_limits = defaultdict(lambda: _LINE_LIMIT)
        super().__init__(
            Hooks(),
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            hostname="practice.example",
            ident="ESMTP practice upstream of explaining-relay",
            timeout=_IDLE_SECONDS,
            auth_require_tls=False,  # it listens on loopback only
            authenticator=self._check_login,
            loop=asyncio.get_running_loop(),
        )

    @property
    def is_idle(self) -> bool:
        """Whether no mail transaction is under way."""
        return self._transaction.mail_from is None

    def hang_up(self) -> None:
        """Close the connection once what was said is sent."""
        if self.transport is not None:
            self.transport.close()

    def break_off(self) -> None:
        """Close the connection at once, whatever is still to be sent."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    def connection_made(self, transport: BaseTransport) -> None:
        """Sign in at the desk, so that a stop can close this connection."""
        self._desk.conversations.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Sign out."""
        self._desk.conversations.discard(self)
        super().connection_lost(error)

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802 - the name is aiosmtpd's
        """Log in whoever asks, whatever the password, unless the user name is that of a scenario."""
        mechanism, _, initial = (arg or "").partition(" ")
        self._login = None
        await super().smtp_AUTH(f"{mechanism.upper()} {initial}".strip())
        if self._login:
            scenario, user = self._login
            await self._refused(scenario, user=user)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - the name is aiosmtpd's
        """Begin a transaction; any parameter is accepted."""
        sender = _path(arg)
        if await self.check_helo_needed("EHLO"):
            return
        if sender is None:
            await self.push("501 5.5.4 Syntax: MAIL FROM:<address> [parameters]")
        elif self._transaction.mail_from is not None:
            await self.push("503 5.5.1 Error: nested MAIL command")
        elif _announced_size(arg or "") > SIZE_LIMIT:
            await self.push(f"552 5.3.4 Message size exceeds fixed limit of {SIZE_LIMIT} octets")
        else:
            await self._begin(sender)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - the name is aiosmtpd's
        """Accept or refuse one recipient; any parameter is accepted."""
        recipient = _path(arg)
        if self._transaction.mail_from is None:
            await self.push("503 5.5.1 Error: need MAIL command")
        elif not recipient:
            await self.push("501 5.5.4 Syntax: RCPT TO:<address> [parameters]")
        else:
            await self._add_recipient(recipient)

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802 - the name is aiosmtpd's
        """Take the message and forget it, unless a scenario is due before or after it."""
        due = self._transaction.due_at(Phase.DATA)
        if not self._transaction.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
        elif arg:
            await self.push("501 5.5.4 Syntax: DATA")
        elif due is None or not await self._refused(due):
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            await self._judge(await self._read_message())

    def _create_session(self) -> Login:
        return Login(self.loop)

    def _create_envelope(self) -> Transaction:
        self._transaction = Transaction()
        return self._transaction

    async def _handle_client(self) -> None:
        self.promised = self._desk.take()
        if self.promised and self.promised.phase is Phase.CONNECT:
            await self._refused(self.promised)
            self.hang_up()
        else:
            await super()._handle_client()

    def _check_login(self, *login: Any) -> AuthResult:
        credentials: LoginPassword = login[-1]
        user = credentials.login.decode("utf-8", "replace")
        scenario = find(user, {Phase.AUTH})
        if scenario:
            self._login = (scenario, user)
        return AuthResult(success=scenario is None, handled=scenario is not None)  # the password is not kept

    async def _begin(self, sender: str) -> None:
        scenario = find(sender, _BY_SENDER)
        if scenario and scenario.phase in _PROMISES:
            self._desk.report(f"mail: {sender} -> connection closed, the next one is refused")
            self._desk.promise(scenario)
        elif scenario is None or scenario.phase in _AFTER_RCPT or not await self._refused(scenario, sender=sender):
            self._transaction.mail_from = sender
            self._transaction.due = scenario if scenario and scenario.phase in _AFTER_RCPT else None
            await self.push("250 2.1.0 Ok")

    async def _add_recipient(self, recipient: str) -> None:
        transaction = self._transaction
        scenario = find(recipient, _BY_RECIPIENT)
        if scenario and scenario.phase in _AFTER_RCPT:
            if transaction.due is None:  # the first of several recipients decides
                transaction.due, transaction.asked_by = scenario, recipient
        elif scenario and await self._refused(scenario, recipient=recipient):
            return
        transaction.rcpt_tos.append(recipient)
        await self.push("250 2.1.5 Ok")

    async def _read_message(self) -> int:
        """Read up to the final dot and return the number of octets; lines may be of any length."""
        size, at_line_start = 0, True
        while True:
            try:
                piece = await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as overrun:
                piece = await self._reader.readexactly(overrun.consumed)
            if at_line_start and piece == b".\r\n":
                return size
            at_line_start = piece.endswith(b"\r\n")
            size += len(piece)

    async def _judge(self, size: int) -> None:
        transaction = self._transaction
        due = transaction.due_at(Phase.MESSAGE)
        if size > SIZE_LIMIT:
            await self.push(f"552 5.3.4 Message size exceeds fixed limit of {SIZE_LIMIT} octets")
        elif due is None or not await self._refused(due):
            self._desk.accepted += 1
            recipients = ", ".join(transaction.rcpt_tos)
            self._desk.report(
                f"message: {transaction.mail_from or '<>'} to {recipients}, {size} octets -> accepted and discarded"
            )
            await self.push(f"250 2.0.0 Ok: accepted and discarded as practice-{self._desk.accepted}")
        self.envelope = self._create_envelope()

    async def _refused(self, scenario: Scenario, **names: str) -> bool:
        """Play a scenario; False means that the command is to be accepted after all."""
        if await self._spared(scenario, names):
            self._tell(scenario, "accepted after all")
            return False
        if scenario.behaviour is Behaviour.SILENT:
            self._tell(scenario, "no answer")
            await asyncio.Event().wait()  # until the client or the idle timer ends the connection
        if scenario.lines:
            reply = scenario.reply(**self._names(names))
            self._tell(scenario, reply.decode("utf-8", "replace"))
            await self.push(reply)
        if scenario.behaviour is Behaviour.DROP or scenario.code in _LAST_WORDS:
            self._tell(scenario, "connection closed")
            self.hang_up()
        return True

    async def _spared(self, scenario: Scenario, names: dict[str, str]) -> bool:
        if scenario.behaviour is Behaviour.SLOW:
            await asyncio.sleep(self._desk.slow_seconds)
            return True
        if scenario.behaviour is Behaviour.SECOND_TRY:
            return self._desk.is_second_try(self._transaction.mail_from or "", names.get("recipient", scenario.name))
        return False

    def _tell(self, scenario: Scenario, what: str) -> None:
        first, *_ = what.splitlines()
        self._desk.report(f"{scenario.phase}: {scenario.address} -> {first}")

    def _names(self, names: dict[str, str]) -> dict[str, str]:
        transaction = self._transaction
        sender = names.get("sender", transaction.mail_from or "")
        recipient = names.get("recipient") or transaction.asked_by or next(iter(transaction.rcpt_tos), "")
        return {"sender": sender, "recipient": recipient, "domain": recipient.rpartition("@")[2], **names}


def _path(arg: str | None) -> str | None:
    """The address in the argument of MAIL or RCPT, with or without angle brackets; "" for the null sender."""
    found = _PATH.match(arg or "")
    if found is None:
        return None
    return found[1] if found[1] is not None else found[2]


def _announced_size(arg: str) -> int:
    found = _SIZE.search(arg)
    return int(found[1]) if found else 0
