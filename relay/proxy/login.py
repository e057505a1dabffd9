"""A client's login, passed to the upstream word for word (RFC 4954): the relay neither checks nor keeps secrets.

The connection that has carried a login belongs to this client alone, for all its mails, and ends with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from relay.proxy.offer import login_possible
from relay.proxy.replies import LOGIN_TAKEN
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.smtp.sasl import LoginObserver, well_formed, without_secrets

if TYPE_CHECKING:
    from relay.proxy.session import Session
    from relay.smtp.sasl import Credentials
    from relay.upstream.connection import Connection
    from relay.upstream.exchange import Expected
    from relay.upstream.server import Server

_MECHANISM = re.compile(rb"[A-Z0-9_-]{1,20}")  # RFC 4422 section 3.1
_BOUND = (b"EXTERNAL", b"GSSAPI", b"GSS-SPNEGO")
_MAX_ANSWERS = 10  # in one exchange; no mechanism has half as many


class Login:
    """The login of one client, from AUTH to the end of its connection. An Owner of the connection that carries it."""

    def __init__(self, session: Session) -> None:
        self.connection: Connection | None = None
        self.done = False
        self.listening = False  # the next line of the client is an answer to a challenge
        self.credentials: Credentials | None = None  # only where mail may be kept together with its login
        self.refused: Reply | None = None  # told at MAIL instead: mail programs hide what is said at AUTH
        self._session = session
        self._failures = 0
        self._observer: LoginObserver | None = None
        self._said: list[bytes] = []  # in every exchange until one succeeds: no refusal may quote any of it

    @property
    def server(self) -> Server:
        """The upstream that carries the login, even after a reload, or would be asked now."""
        return self.connection.server if self.connection is not None else self._session.service.pool.server

    @property
    def busy(self) -> bool:
        """Whether the connection is not ready for the next mail: the end of the last one (RSET) is not confirmed."""
        connection = self.connection
        return connection is not None and connection.asked and connection.owner in (None, self)

    @property
    def lost(self) -> bool:
        """Whether the upstream has closed the connection that carried the login."""
        return self.done and (self.connection is None or self.connection.dead)

    def refusal(self) -> Fault | None:
        """Why a login cannot be tried now."""
        session = self._session
        if self.done or self.refused is not None:
            return Fault.BAD_SEQUENCE
        if login_possible(session):
            return None
        server = self.server
        return Fault.TLS_REQUIRED if server.login is None and server.protects_logins else Fault.AUTH_UNAVAILABLE

    def begin(self, argument: bytes) -> None:
        """AUTH mechanism [initial-response]."""
        session = self._session
        if self._failures >= session.service.rules.login_failures:
            session.dismiss(Fault.TOO_MANY_LOGIN_FAILURES, phase=Phase.AUTH)
            return
        mechanism, _, initial = argument.strip().partition(b" ")
        mechanism, initial = mechanism.upper(), initial.strip()
        fault = _fault_of(mechanism, initial)
        if fault is not None:
            session.error(fault, phase=Phase.AUTH)
            return
        self._observer = LoginObserver(mechanism, keep=session.client.listener.keep_logins)
        if initial:
            self._said.append(initial)
            self._observer.heard(initial)
        session.client.hold()
        line = b"AUTH " + mechanism + (b" " + initial if initial else b"")
        session.service.spawn(self._ask(line), session.client.fail)

    def answer(self, line: bytes) -> None:
        """The client's answer to a challenge; what cannot be one cancels the exchange."""
        self.listening = False
        line = line if well_formed(line) else b"*"
        self._said.append(line)
        if self._observer is not None:
            self._observer.heard(line)
        self._send(line)

    def keep(self, connection: Connection) -> None:
        """A mail is done: the connection waits for the next one of this client."""
        if connection is not self.connection:  # the login has ended meanwhile
            connection.quit()
        elif connection.owner is None:  # the next one may have begun before RSET was answered
            connection.owner = self
            self._session.client.proceed()  # what it has said while RSET was not answered

    def end(self) -> None:
        """The client is gone, or starts anew: so does its login."""
        connection, self.connection = self.connection, None
        if connection is not None and connection.owner is self:
            connection.owner = None
            # Within the exchange QUIT would be taken for an answer, a wrong password (RFC 4954 section 4).
            (connection.abort if self.listening or connection.asked else connection.quit)()
        elif connection is not None and connection.owner is None and not connection.asked:
            connection.quit()  # else a mail that is given up still holds it, and then lets go of it
        self.done = self.listening = False
        self._said.clear()
        self.refused = self.credentials = None

    # -- the Owner of a Connection, between mails

    def upstream_heard(self) -> None:
        """Go on with what the client has said meanwhile."""
        self._session.client.proceed()

    def upstream_early(self, reply: Reply) -> None:
        """Cannot happen between mails."""

    def upstream_lost(self, pending: tuple[Expected, ...], fault: Fault, detail: str) -> None:
        """The connection is gone; the next MAIL will say so, unless an answer is due now."""
        session, connection = self._session, self.connection
        if fault is Fault.BUG and pending:
            session.give_up(fault, Phase.AUTH)
            return
        if fault is Fault.DISCONNECTED and pending and connection is not None and connection.rested:
            # It was kept, and dead already: nobody has looked at the login. A new one is asked, as for a mail.
            session.service.spawn(self._ask(pending[0].line, new=True), session.client.fail)
            return
        detail = "" if fault is Fault.GARBLED else detail  # it quotes what may repeat a secret, cut off in its middle
        for expected in pending:
            expected.answer(reply_for(fault, Phase.AUTH, self.server.name, detail))

    def upstream_full(self, *, full: bool) -> None:
        """A login is too short to fill anything."""

    # -- details

    async def _ask(self, line: bytes, *, new: bool = False) -> None:
        session = self._session
        if self.connection is None or self.connection.dead:
            found = await session.service.pool.open(new=new)
            if isinstance(found, Reply):
                self._heard(found)
                session.client.proceed()
                return
            found.private = True
            found.owner = self
            self.connection = found
        if session.client.transport is None:  # gone while we connected
            self.end()
            return
        self._send(line)
        session.client.proceed()  # the connection may be dead already

    def _send(self, line: bytes) -> None:
        connection = self.connection
        self._session.client.hold()
        if connection is None or connection.dead:
            why = connection.why_dead(Phase.AUTH).fault if connection is not None else None
            # Without details: what was garbled may repeat a secret, cut off in its middle.
            self._heard(reply_for(why or Fault.DISCONNECTED, Phase.AUTH, self.server.name))
            return
        connection.send(line, Phase.AUTH, self._heard)
        connection.flush()

    def _heard(self, reply: Reply) -> None:
        session = self._session
        session.client.go_on()
        if reply.code == 334 and self._observer is not None and self._observer.answers >= _MAX_ANSWERS:
            self._refused(reply_for(Fault.GARBLED, Phase.AUTH, self.server.name))
            if self.connection is not None:
                self.connection.abort()  # it would ask for ever
        elif reply.code == 334:
            self.listening = True
            session.answer(reply)
        elif reply.ok:
            self._accepted(reply)
        else:
            self._refused(reply)

    def _accepted(self, reply: Reply) -> None:
        session, users = self._session, self._session.client.listener.users
        user = self._observer.user if self._observer is not None else None
        self._said.clear()
        if users and (user or "").lower() not in users:
            self.end()
            session.error(Fault.LOGIN_NOT_ALLOWED, phase=Phase.AUTH)
            return
        self.done = True
        self.credentials = self._observer.credentials if self._observer is not None else None
        session.user = user
        session.answer(reply)

    def _refused(self, reply: Reply) -> None:
        if reply.fault is None:  # what the upstream has not judged was no wrong password
            self._failures += 1
        if self._observer is not None:
            reply = without_secrets(reply, self._secrets(self._observer.mechanism), self._observer.claimed)
        cancelled = self._said[-1:] == [b"*"]  # that was no login, so none was refused
        if self._session.service.rules.explain_login_at_mail and reply.code != 421 and not cancelled:
            self.refused = reply
            self._session.answer(LOGIN_TAKEN)
        else:
            self._session.answer(reply)

    def _secrets(self, mechanism: bytes) -> list[bytes]:
        """What no refusal may quote: a mechanism that nobody offers may be a password, mistyped."""
        offered = self.connection.capabilities.mechanisms if self.connection is not None else ()
        return self._said if mechanism in offered else [*self._said, mechanism]


def _fault_of(mechanism: bytes, initial: bytes) -> Fault | None:
    if not _MECHANISM.fullmatch(mechanism) or not well_formed(initial):
        return Fault.SYNTAX
    return Fault.AUTH_MECHANISM if mechanism.endswith(b"-PLUS") or mechanism in _BOUND else None
