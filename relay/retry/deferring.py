"""Accepting for the spool: recipients that failed for now are kept, all others are answered live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.retry.letter import Kind, Letter, Recipient, State, new_id
from relay.retry.patient import PatientTransaction
from relay.retry.schedule import may_succeed_later
from relay.retry.spool import Body
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.smtp.extensions import is_timed

if TYPE_CHECKING:
    from relay.proxy.session import Session
    from relay.retry.intake import Intake
    from relay.smtp.command import Path

_SENDER_OK = Reply(Phase.MAIL, 250, (b"2.1.0 OK, the mail will be kept until the mail server takes it",))
_RECIPIENT_OK = Reply(Phase.RCPT, 250, (b"2.1.5 OK, the mail for this recipient will be kept and tried again",))
_GO_AHEAD = Reply(Phase.DATA, 354, (b"Go ahead, the mail will be kept",))


class DeferringTransaction(PatientTransaction):
    """A mail that may be half live, half kept; see `relay.retry` for the rules."""

    def __init__(self, intake: Intake, memory: int, session: Session, sender: Path) -> None:
        super().__init__(session, sender, memory)
        self._intake = intake
        self._deferred: dict[bytes, tuple[Path, Reply]] = {}  # by the path: who is named twice is kept once
        self._offline: Reply | None = None  # why nothing of this mail goes to the upstream any more

    async def mail(self) -> Reply:
        """MAIL: refused for now, it is accepted for the spool."""
        login = self.session.login
        # A client that has logged in has a connection of its own, whatever became of others.
        reply = self._intake.known_down() if not login.done or login.lost else None
        if reply is None:
            reply = await super().mail()
            self._intake.note(reply)
        refusal = await self._put_off(reply)
        return refusal or _SENDER_OK

    async def rcpt(self, path: Path) -> Reply:
        """RCPT: refused for now, the recipient is accepted for the spool."""
        reply = self._offline
        if reply is None:
            reply = await super().rcpt(path)
            if reply.ok:
                self._deferred.pop(path.octets, None)
            refusal = await self._refusal(reply)
            if refusal is not None:
                return refusal
            if self.carrier is None:  # lost, and those it had accepted with it
                self._go_offline(reply)
        self._defer(path, reply)
        return _RECIPIENT_OK

    async def agree(self) -> Reply:
        """DATA: where nobody is to be reached live, the relay agrees by itself."""
        if self._offline is None and not self.taken and self._deferred:
            _, said = tuple(self._deferred.values())[-1]
            self._go_offline(said)
        if self._offline is not None:
            return _GO_AHEAD
        refusal = await self._put_off(await super().agree())
        return refusal or _GO_AHEAD

    async def verdict(self, last: bytes) -> Reply:
        """The final dot: what is kept is on the disk before the live half is decided, and promised only with it."""
        if self._offline is not None:
            return await self._keep(self._offline)
        pending = self._letter() if self._deferred else None
        if pending is not None:
            failure = await self._add(pending, State.PENDING)
            if failure is not None:
                self.drop()
                return failure
            if self.left.is_set():  # nobody would hear the verdict: the client will send it again
                self.drop()
                await self._intake.drop(pending.id)
                return reply_for(Fault.DISCONNECTED, Phase.MESSAGE, self.server.name)
        reply = await super().verdict(last)
        return await self._decide(reply, pending)

    async def _decide(self, reply: Reply, pending: Letter | None) -> Reply:
        if reply.ok and pending is not None:
            failure = await self._intake.promise(pending.id)
            if failure is None:
                self._remember(pending)
            return failure or reply
        if await self._refusal(reply) is None:
            self._go_offline(reply)
            reply = await self._keep(reply)
        if pending is not None:
            await self._intake.drop(pending.id)
        return reply

    async def _put_off(self, reply: Reply) -> Reply | None:
        """Go on without the upstream, if this reply allows it; else the reply for the client."""
        refusal = await self._refusal(reply)
        if refusal is None:
            self._go_offline(reply)
        return refusal

    async def _refusal(self, reply: Reply) -> Reply | None:
        """What the client hears instead of being told that the mail is kept: good and final replies, and limits."""
        if not may_succeed_later(reply) or is_timed(self.sender):  # its time would pass while it is kept
            return reply
        return await self._intake.refusal(reply, self.session.login, self.size or 0)

    def _go_offline(self, why: Reply) -> None:
        self._offline = why
        self.give_up_session()
        taken, self.taken = self.taken, []
        for path in taken:
            self._defer(path, why)

    def _defer(self, path: Path, why: Reply) -> None:
        if path.octets not in [taken.octets for taken in self.taken]:
            self._deferred.setdefault(path.octets, (path, why))

    async def _keep(self, why: Reply) -> Reply:
        letter = self._letter()
        refusal = await self._intake.refusal(why, self.session.login, self.copy.size)
        failure = refusal or await self._add(letter, State.QUEUED)
        if failure is not None:
            return failure
        if self.left.is_set():  # nobody hears the 250: the client will send it again
            await self._intake.drop(letter.id)
        else:
            self._remember(letter)
        told = f"2.0.0 OK, kept as {letter.id}; the mail server cannot take it now ({why.code})"
        return Reply(Phase.MESSAGE, 250, (told.encode(),))

    def passed(self, reply: Reply) -> None:
        """The journal keeps what the upstream has taken; of the rest it knows already."""
        self.accepted = [path.address for path in self.taken]
        if self.taken:
            super().passed(reply)

    def _remember(self, letter: Letter) -> None:
        recipients = tuple((each.path.address, each.said) for each in letter.recipients)
        self.service.journal.kept(letter.id, letter.sender.address, letter.size, recipients)

    async def _add(self, letter: Letter, state: State) -> Reply | None:
        if self.copy.broken:
            return reply_for(Fault.SPOOL_FULL, Phase.MESSAGE)
        return await self._intake.add(letter, Body(self.copy.size, self.copy.pieces), self.session.login, state=state)

    def _letter(self) -> Letter:
        recipients = tuple(Recipient(number, *kept) for number, kept in enumerate(self._deferred.values()))
        return Letter(new_id(), Kind.MAIL, self.sender, self.copy.size, recipients)
