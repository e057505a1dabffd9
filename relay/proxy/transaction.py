"""One mail on its way: the envelope passed on command by command, and the connection that carries it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from relay.proxy.body import Body, Chunk, skip_octets
from relay.proxy.replies import OK
from relay.smtp import Fault, Phase, Reply, outcome_unknown, reply_for
from relay.smtp.extensions import as_offered, said_to
from relay.smtp.message import NewlineGuard
from relay.upstream.exchange import Answer, Expected

if TYPE_CHECKING:
    from relay.proxy.session import Session
    from relay.smtp.command import Path
    from relay.upstream.connection import Connection


_UNDER_WAY = 100  # commands passed on and not answered: a client that pipelines and reads nothing costs no more


class Transaction:
    """From MAIL to the verdict. Owns its connection meanwhile, and answers for whatever happens to it.

    A kept connection that turns out to be dead or out of step before it has answered anything, or takes its leave then,
    is replaced by a new one, silently: nothing of this mail can have been taken by it.
    """

    tries: int = 1  # of the command that was answered last, and the seconds they took together
    tried_seconds: float = 0.0

    def __init__(self, session: Session, sender: Path) -> None:
        self.session = session
        self.client = session.client
        self.service = session.service
        self.server = session.server  # the upstream this mail goes to, even after a reload
        self.sender = sender
        self.named = 0  # recipients the client has named
        self.accepted: list[str] = []
        self.size: int | None = sender.declared_size
        self.started = self.client.loop.time()
        self.connection: Connection | None = None
        self.body: Body | Chunk | None = None  # while message octets flow
        self._guard: NewlineGuard | None = None  # looks at all chunks of a BDAT message
        self._failed: Reply | None = None  # why a chunk was not taken: no message may be without it
        self._opening = False
        self._may_take_later = False  # a recipient was refused for now
        self._over = False
        self._dirty = False  # the upstream remembers a MAIL: RSET before anybody else's
        self._refused = False  # the whole mail was: the next one of anybody gets a connection of better standing
        self._broken = (Fault.DISCONNECTED, "")

    @property
    def busy(self) -> bool:
        """Whether replies of the upstream are awaited."""
        return self._opening or (self.connection is not None and self.connection.asked)

    @property
    def crowded(self) -> bool:
        """Whether so many replies are awaited that the next command must wait."""
        return self.connection is not None and self.connection.under_way >= _UNDER_WAY

    @property
    def broken(self) -> bool:
        """Whether the upstream was lost on the way: nothing of this mail is left there."""
        return self.connection is None and not self._opening

    # -- what the client says

    def begin(self) -> None:
        """MAIL: take a connection (or wait for one), and pass it on."""
        connection = self.session.login.connection if self.session.login.done else self.service.pool.take()
        if connection is None:
            self._open(())
        else:
            self._attach(connection)
            self._say(self._mail(connection))

    def recipient(self, path: Path) -> None:
        """RCPT: pass it on; whatever is said of this recipient touches no other."""
        self.named += 1
        answered = partial(self._rcpt_answered, path)
        self._say(Expected(Phase.RCPT, answered, (2,), b"RCPT TO:" + path.wire))

    def data(self) -> None:
        """DATA: pass it on; what comes after it is read when the upstream has agreed."""
        self.client.hold()
        self._say(Expected(Phase.DATA, self._data_answered, (3,), b"DATA"))

    def chunk(self, size: int, *, last: bool) -> None:
        """BDAT (RFC 3030): pass on the command and its octets as they are."""
        refusal, connection = self._failed or self._chunk_refusal(), self.connection
        if refusal is not None or connection is None:
            answer = partial(self.chunk_answered, refusal or self._fault_reply(Phase.DATA), last=last)
            skip_octets(self.session, size, answer)
            return
        if self._guard is None:  # the first: from now on octets are counted, whatever MAIL has declared
            self._guard, self.size = NewlineGuard(), 0
        self.body = Chunk(self, size, self._guard, last=last)
        self.body.begin(connection)

    def _chunk_refusal(self) -> Reply | None:
        """Why no chunk can be passed on; None if it can, or if there is nobody to pass it on to."""
        if not self.accepted:
            return self.without_recipients()
        if self.connection is not None and b"CHUNKING" not in self.connection.capabilities:
            return reply_for(Fault.OFFER_CHANGED, Phase.DATA, self.server.name)  # it would read octets as commands
        return None

    @property
    def chunked(self) -> bool:
        """Whether the message comes by BDAT; DATA may not follow (RFC 3030 section 2)."""
        return self._guard is not None or self._failed is not None

    def without_recipients(self) -> Reply:
        """What DATA is answered where no recipient was accepted: for good only if all were refused for good."""
        return reply_for(Fault.NO_RECIPIENTS_NOW if self._may_take_later else Fault.NO_RECIPIENTS, Phase.DATA)

    def reset(self) -> bool:
        """RSET: pass it on, if there is anything to reset; False if there is not."""
        if self.connection is None:
            return False
        self._say(Expected(Phase.MAIL, self._reset_answered, (2,), b"RSET"))
        self.client.hold()
        return True

    def leave(self, *, vanished: bool = False) -> None:
        """The client gives this mail up, or has vanished: what is under way is awaited, nothing more is sent."""
        self._over = True
        self._refused = self._refused or vanished
        if self.body is not None and not self.body.complete:
            self.drop()
        elif self.connection is not None and not self.connection.asked:
            self._release()

    # -- what the upstream says (the Owner of a Connection)

    def upstream_heard(self) -> None:
        """Replies have been handed out: go on with what the client has said meanwhile."""
        self.client.proceed()

    def upstream_early(self, reply: Reply) -> None:
        """The verdict came before the message was complete."""
        self._let_go()
        self._stop_body(reply)

    def upstream_lost(self, pending: tuple[Expected, ...], fault: Fault, detail: str) -> None:
        """The connection is gone: replace it if that is safe, or answer for all that is pending."""
        connection = self._let_go()
        self._broken = (fault, detail)
        if self._replaceable(connection, pending, fault):
            self._open(pending[1:], new=True)
            return
        awaits_verdict = bool(pending) and pending[-1].phase is Phase.MESSAGE
        if fault is Fault.BUG and pending:  # who was to hear these replies has failed, and would again
            self.session.give_up(Fault.OUTCOME_UNKNOWN if awaits_verdict else fault, pending[0].phase)
            return
        sent = awaits_verdict and self.body is not None and self.body.complete
        if not sent:  # nobody can have taken a message without its dot: it is not the verdict that was garbled
            self._stop_body(self._fault_reply(Phase.DATA))
        for expected in pending:
            expected.answer(self._fault_reply(expected.phase, sent=sent))

    def upstream_full(self, *, full: bool) -> None:
        """Let the client feel the upstream's pace."""
        if self.body is not None or not full:
            self.client.throttle(on=full)

    # -- the end of the message (told by the body)

    def judged(self, reply: Reply) -> None:
        """The verdict on the message, of whoever: the client hears it, the journal keeps it."""
        self.body = None
        self._dirty = False
        self._over = True
        self._refused = not reply.ok
        if reply.ok:
            self.passed(reply)
        self.answered(reply)

    def chunk_answered(self, reply: Reply, *, last: bool) -> None:
        """What is said of a chunk, but for the verdict on a whole message.

        Once a chunk is refused the mail has failed; chunks that follow are read and forgotten, and the last one ends
        the mail whatever was said of it: the client begins the next one (RFC 3030 section 2).
        """
        if not reply.ok:
            self._failed = reply
        self._over = self._over or last
        self._refused = self._refused or last
        self.answered(reply)

    def passed(self, reply: Reply) -> None:
        """The journal keeps that the upstream has taken the message."""
        self.service.passed(self.session, self, reply)

    def answered(self, reply: Reply, recipient: str | None = None) -> None:
        """The client hears a reply; then comes what follows from it: the next command, or the end of this mail."""
        self.session.answer(reply, recipient)
        if reply.code == 421:
            self.lose(Fault.DISCONNECTED)
            self._over = True
        if self.busy or self.body is not None:
            return
        self.client.go_on()
        if self._over:
            self._release()
            self.session.ended(self)

    def drop(self) -> None:
        """Cut the connection: no octet of this mail that is still unsent may arrive any more."""
        connection = self._let_go()
        if connection is not None:
            connection.owner = None
            connection.abort()

    def lose(self, fault: Fault) -> None:
        """Drop the upstream for a reason of our own; the rest of this mail is answered with it."""
        self.drop()
        self._broken = (fault, "")

    # -- details

    def _let_go(self) -> Connection | None:
        """The connection, which is this mail's no longer: so nothing holds the client back."""
        connection, self.connection = self.connection, None
        self.client.throttle(on=False)
        return connection

    def _attach(self, connection: Connection) -> None:
        connection.owner = self
        self.connection = connection
        self.server = connection.server

    def _say(self, command: Expected) -> None:
        connection = self.connection
        if connection is None:
            command.answer(self._fault_reply(command.phase))
            return
        if b"PIPELINING" not in connection.capabilities:
            self.client.hold()
        connection.say(command)  # which is answered at once where the connection has just died

    def _say_all(self, commands: tuple[Expected, ...]) -> None:
        """Together, or where the upstream does not take that, each when the one before it is answered."""
        pipelines = self.connection is None or b"PIPELINING" in self.connection.capabilities
        first, *rest = commands
        if rest and not pipelines:
            commands = (first._replace(answer=partial(self._answered_before, tuple(rest), first.answer)),)
        for command in commands:
            self._say(command)

    def _answered_before(self, rest: tuple[Expected, ...], answer: Answer, reply: Reply) -> None:
        if self.connection is not None:
            self._say_all(rest)  # first, lest the mail seem to be over with this reply
            answer(reply)
        else:  # the rest is answered at once, behind this one
            answer(reply)
            self._say_all(rest)

    def _mail(self, connection: Connection) -> Expected:
        line = b"MAIL FROM:" + said_to(connection.capabilities, self.sender)
        return Expected(Phase.MAIL, self._mail_answered, (2,), line)

    def _open(self, behind: tuple[Expected, ...], *, new: bool = False) -> None:
        """Say MAIL over another connection, then what was to follow it."""
        self._opening = True
        self.client.hold()
        self.service.spawn(self._opened(behind, new=new), self.client.fail)

    async def _opened(self, behind: tuple[Expected, ...], *, new: bool) -> None:
        found = await self.service.pool.open(new=new)
        self._opening = False
        if not isinstance(found, Reply) and self._over:
            self.service.pool.give_back(found)
            return
        if isinstance(found, Reply):
            self._mail_answered(found)
            for command in behind:
                command.answer(found)
        else:
            self._attach(found)
            self._say_all((self._mail(found), *behind))
        self.client.proceed()

    def _mail_answered(self, reply: Reply) -> None:
        if reply.ok:
            self.session.forgiven = 0
            self._dirty = True
            if self.connection is not None:
                self.connection.messages += 1
        else:
            self._over = self._refused = True
            reply = self._as_offered(reply, self.sender, self.connection)
        self.answered(reply)

    def _rcpt_answered(self, path: Path, reply: Reply) -> None:
        address = path.address
        if reply.ok:
            self.accepted.append(address)
        else:
            reply = self._as_offered(reply, path, self.connection)
            self._may_take_later = self._may_take_later or reply.transient
        self.answered(reply, address)

    def _as_offered(self, refusal: Reply, path: Path, connection: Connection | None) -> Reply:
        invited = self.session.offered
        if connection is None or invited is None:
            return refusal
        return as_offered(refusal, path, connection.capabilities, invited, self.server.name)

    def _data_answered(self, reply: Reply) -> None:
        if reply.ok and (self._over or not self.accepted):
            self.drop()  # a message without recipients is not begun, whatever the upstream says
            reply = self.without_recipients()
            self._over = True
        if reply.ok:
            self.body = Body(self)
            self.session.answer(reply)
            self.client.take_octets(self.body.feed)
        else:
            self.answered(reply)

    def _reset_answered(self, reply: Reply) -> None:
        self._over = True
        self._dirty = False
        if not reply.ok:
            self.drop()  # nothing of the mail is left with a connection that is cut, be it that of a login
        self.answered(reply if reply.ok else OK)

    def _release(self) -> None:
        connection = self._let_go()
        if connection is None:
            return
        connection.owner = None
        keep = self.session.login.keep if connection.private else self.service.pool.give_back
        if self._refused and not connection.private:
            connection.quit()
        elif self._dirty:

            def answered(reply: Reply) -> None:
                if not reply.ok:
                    connection.abort()
                keep(connection)  # of a dead one, too, a login must hear: its client may be waiting

            connection.send(b"RSET", Phase.MAIL, answered)
            connection.flush()
        else:
            keep(connection)

    def _replaceable(self, connection: Connection | None, pending: tuple[Expected, ...], fault: Fault) -> bool:
        return (
            fault is Fault.DISCONNECTED
            and not self._over
            and connection is not None
            and connection.rested
            and bool(pending)
            and pending[0].phase is Phase.MAIL
        )

    def _fault_reply(self, phase: Phase, *, sent: bool = False) -> Reply:
        """What became of the connection; where the final dot was sent, the outcome is unknown whatever became of it."""
        fault, detail = self._broken
        if sent and fault in (Fault.DISCONNECTED, Fault.TIMEOUT, Fault.BUG):
            return outcome_unknown(fault, phase, self.server.name)
        return reply_for(fault, phase, self.server.name, detail)

    def _stop_body(self, verdict: Reply) -> None:
        if self.body is not None:
            self.body.stop(verdict)
