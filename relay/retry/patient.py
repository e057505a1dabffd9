"""A mail on its way, one command at a time, so that each can be repeated and the whole be sent again.

The proxy's own transaction hands commands on as they come. This one awaits each reply before the client is answered;
what is repeated, and what is kept for later, is decided by its two kinds: `inline` and `deferring`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from relay.proxy.transaction import Transaction
from relay.retry.copy import CopiedBody, Copy
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.smtp.extensions import said_to
from relay.upstream.carrier import Carrier

if TYPE_CHECKING:
    from relay.proxy.session import Session
    from relay.smtp.command import Path
    from relay.upstream.connection import Connection

Step = Coroutine[Any, Any, Reply]


class PatientTransaction(Transaction):
    """From MAIL to the verdict. `taken` are the recipients that the upstream has accepted in its present session."""

    def __init__(self, session: Session, sender: Path, memory: int) -> None:
        super().__init__(session, sender)
        self.taken: list[Path] = []
        self.carrier: Carrier | None = None
        self.copy = Copy(memory)
        self.left = asyncio.Event()  # the client has given this mail up
        self._mail_reply: Reply | None = None  # what the upstream says to MAIL, in its present session
        self._rset_said: asyncio.Future[None] | None = None  # done when the connection of a login has answered RSET
        self._working = False

    @property
    def busy(self) -> bool:
        """Whether a command is being worked on."""
        return self._working

    @property
    def broken(self) -> bool:
        """Never: where the upstream is lost, the next command begins anew with another connection."""
        return False

    # -- what the client says

    def begin(self) -> None:
        """MAIL: pass it on."""
        self._work(self.mail(), self._mail_answered)

    def recipient(self, path: Path) -> None:
        """RCPT: pass it on; whatever is said of this recipient touches no other."""
        self.named += 1
        self._work(self.rcpt(path), partial(self._rcpt_answered, path))

    def data(self) -> None:
        """DATA: pass it on; what comes after it is read when the upstream has agreed."""
        self._work(self.agree(), self._data_answered)

    @property
    def chunked(self) -> bool:
        """Never: no chunk is passed on."""
        return False

    def _chunk_refusal(self) -> Reply:
        """BDAT is not offered where a message may have to be sent again."""
        return reply_for(Fault.NOT_IMPLEMENTED, Phase.DATA)

    def reset(self) -> bool:
        """RSET is answered here; what the upstream remembers is reset when the connection is given back."""
        return False

    def leave(self, *, vanished: bool = False) -> None:
        """The client gives this mail up, or has vanished: nothing more is sent."""
        self._over = True
        self._refused = self._refused or vanished
        self.left.set()
        if not self._working:
            self._clean_up()

    # -- what the body tells

    def pass_on(self, octets: bytes) -> None:
        """A piece of the message, not the last."""
        if self.carrier is not None:
            self.carrier.stream(octets)

    def completed(self, last: bytes, refusal: Reply | None) -> None:
        """All of the message came; `last` is the piece with the final dot, `refusal` why it must not be sent."""
        self._work(self.verdict(last) if refusal is None else _said(refusal), self.judged)

    # -- each command, done once; the kinds repeat or replace these

    async def mail(self) -> Reply:
        """MAIL, over a connection that is kept or new."""
        return await self.stand()

    async def rcpt(self, path: Path) -> Reply:
        """RCPT, for one recipient."""
        standing = await self.stand()
        if not standing.ok:
            return standing
        connection = self.connection
        reply = await self.ask(b"RCPT TO:" + path.wire, Phase.RCPT)
        if reply.ok:
            self.taken.append(path)
        return self._as_offered(reply, path, connection)

    async def agree(self) -> Reply:
        """DATA, to the agreement (354) or the refusal."""
        standing = await self.stand(whole=True)
        return await self.ask(b"DATA", Phase.DATA) if standing.ok else standing

    async def verdict(self, last: bytes) -> Reply:
        """The final dot, to the verdict."""
        return await self.carrier.finish(last) if self.carrier is not None else _lost(self)

    async def send_again(self) -> Reply:
        """The whole mail from its copy, over a session of its own, to the verdict."""
        self.give_up_session()
        agreed, carrier = await self.agree(), self.carrier
        if not agreed.ok or carrier is None:
            return _lost(self) if agreed.ok else agreed
        last = b""
        for piece in self.copy.pieces():
            await carrier.pour(last)
            last = piece
        if self.left.is_set():  # nobody would hear the verdict: the client will send it again
            self.give_up_session()
            return _lost(self)
        self.before_dot()
        return await carrier.finish(last)

    def before_dot(self) -> None:
        """The final dot leaves now: from here on the verdict is awaited, however long that takes."""

    # -- the upstream's side

    async def ask(self, line: bytes, phase: Phase) -> Reply:
        """Say one command; a session that has ended by it is given up.

        A good reply is worth nothing where the session ended in the same breath: then the reply is why.
        """
        carrier = self.carrier
        if carrier is None:
            return _lost(self)._replace(phase=phase)
        reply = await carrier.say(line, phase)
        if reply.code == 421 or not carrier.alive:
            self.give_up_session()
            if reply.ok:
                return (carrier.lost or _lost(self))._replace(phase=phase)
        return reply

    async def stand(self, *, whole: bool = False) -> Reply:
        """Bring the upstream to where this mail stands: MAIL, and every recipient it had taken.

        Returns:
            Its reply to MAIL. Where it takes one of the recipients no longer, nobody else is told what it says of that
            one: only the `whole` mail, if it has no other.
        """
        if self.carrier is not None and self.carrier.alive and self._mail_reply is not None:
            return self._mail_reply
        self.give_up_session()
        reply, rested = await self._say_mail()
        if rested and reply.fault is Fault.DISCONNECTED:  # it was dead already: nothing was heard over it
            reply, _ = await self._say_mail(new=True)
        for path in self.taken if reply.ok else ():
            again = await self.ask(b"RCPT TO:" + path.wire, Phase.RCPT)
            if not again.ok:
                self.give_up_session()
                alone = whole and len(self.taken) == 1
                return again if alone else reply_for(Fault.RECIPIENT_LOST, Phase.RCPT, self.server.name)
        return reply

    def give_up_session(self) -> None:
        """Take leave of the upstream; nothing of this mail is left there."""
        carrier, self.carrier, self._mail_reply = self.carrier, None, None
        if carrier is None:
            return
        carrier.leave()
        connection = carrier.connection
        dirty = self._dirty or connection.asked  # it may still take what it is asked
        self.connection, self._dirty = None, False
        if connection.streaming:
            connection.abort()
        elif not connection.private:
            connection.quit()
        else:  # it carries the client's login: its next mail needs it
            if dirty:
                self._rset_said = _reset(connection)
            self.session.login.keep(connection)
        self.client.throttle(on=False)

    async def _say_mail(self, *, new: bool = False) -> tuple[Reply, bool]:
        """MAIL over a connection that is kept, or a `new` one; the reply, and whether a kept one has said nothing."""
        login = self.session.login
        if self._rset_said is not None:
            await asyncio.shield(self._rset_said)  # a try that outlasts its time does not cancel it
        if not login.done:
            found = await self.service.pool.open(new=new)
        elif login.connection is None or login.connection.dead:
            return reply_for(Fault.LOGIN_LOST, Phase.MAIL, self.server.name), False
        else:
            found = login.connection
        if isinstance(found, Reply):
            return found, False
        self.carrier = Carrier(found, lambda full: self.upstream_full(full=full))
        self.connection = found
        self.server = found.server
        reply = await self.ask(b"MAIL FROM:" + said_to(found.capabilities, self.sender), Phase.MAIL)
        reply = self._as_offered(reply, self.sender, found)
        if reply.ok:
            self._mail_reply, self._dirty = reply, True
            found.messages += 1
        else:
            self.give_up_session()
        return reply, found.rested

    # -- the client's side

    def _work(self, step: Step, then: Callable[[Reply], None]) -> None:
        self._working = True
        self.client.hold()
        self.service.spawn(self._done(step, then), self.client.fail)

    async def _done(self, step: Step, then: Callable[[Reply], None]) -> None:
        reply = await step
        self._working = False
        if self.left.is_set():
            if self.body is not None and self.body.complete and reply.ok:
                self.passed(reply)
            self._clean_up()
            return
        then(reply)
        self.tries, self.tried_seconds = 1, 0.0
        self.client.proceed()

    def _mail_answered(self, reply: Reply) -> None:
        self._over = self._refused = not reply.ok
        if reply.ok:
            self.session.forgiven = 0
        self.answered(reply)

    def _data_answered(self, reply: Reply) -> None:
        if not reply.ok:
            self.answered(reply)
            return
        self.body = CopiedBody(self, self.copy)
        self.session.answer(reply)
        self.client.take_octets(self.body.feed)

    def judged(self, reply: Reply) -> None:
        """The verdict on the message, of whoever: the client hears it."""
        super().judged(reply)
        self.copy.close()

    def _release(self) -> None:
        carrier, self.carrier = self.carrier, None
        if carrier is not None:
            carrier.leave()
        super()._release()
        self.copy.close()

    def drop(self) -> None:
        """Cut the connection: no octet of this mail that is still unsent may arrive any more."""
        carrier, self.carrier, self._mail_reply = self.carrier, None, None
        if carrier is not None:
            carrier.leave()
        super().drop()

    def _clean_up(self) -> None:
        """The client has left: what is half sent is cut off, the rest given back."""
        if self.body is not None:
            self.body = None
            self.drop()
        self._release()


def _reset(connection: Connection) -> asyncio.Future[None]:
    """Say RSET; what is left of a mail in spite of it ends with the connection. The future is done with the reply."""
    answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def heard(reply: Reply) -> None:
        if not reply.ok:
            connection.abort()
        answered.set_result(None)

    connection.send(b"RSET", Phase.MAIL, heard)
    connection.flush()
    return answered


async def _said(reply: Reply) -> Reply:
    return reply


def _lost(transaction: Transaction) -> Reply:
    return reply_for(Fault.DISCONNECTED, Phase.MESSAGE, transaction.server.name)
