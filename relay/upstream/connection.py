"""One connection to the upstream: commands out, replies in, in order, each within its time.

aiosmtplib's protocol gives the connection its place in that library; its reading and writing is replaced, because it
takes one reply at a time, believes mixed codes, drops what nobody asked for and knows no deadline for a whole reply.
Here any number of commands may be under way (RFC 2920); whatever is not exactly the next reply ends the connection.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, cast

from aiosmtplib.protocol import SMTPProtocol

from relay.deadlines import NEVER
from relay.memory import limit_buffers
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.smtp.capabilities import NOTHING, Capabilities
from relay.smtp.hearing import GarbledError, ReplyReader
from relay.upstream.below import Below
from relay.upstream.exchange import CLASSES, GO_ON, Answer, Expected

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from relay.deadlines import Deadlines
    from relay.upstream.exchange import Owner
    from relay.upstream.server import Server

_log = logging.getLogger(__name__)

_POLITE_SECONDS = 5.0
_MAX_POSTPONED = 3
_REFUSAL_POLL_SECONDS = 0.05
_REPLIES_A_TURN = 5  # of one connection; then the others have their turn, lest many refusals keep everybody waiting
_FIRST = (Phase.MAIL, Phase.AUTH)  # what a kept connection is asked first
_LEAST_TAKEN = 100  # octets a second: less is no slow upstream, but one that only pretends to take the message


class Connection(SMTPProtocol):
    """A connection that has an owner (a transaction), or is being dialled, or idles in the pool (owner None)."""

    def __init__(self, server: Server, deadlines: Deadlines, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.server = server
        self.deadline = NEVER
        self.owner: Owner | None = None
        self.capabilities: Capabilities = NOTHING
        self.secure = False
        self._clear = True  # replies lie in the socket as they are
        self.dead = False
        self._ended_by = (Fault.DISCONNECTED, "")
        self.private = False  # carries one client's own login: never shared
        self.streaming = False  # between 354 and the final dot
        self.messages = 0  # transactions this connection has carried
        self.refusals = 0  # what it was refused: servers slow down and cut off who collects them
        self.rested = False  # it comes from the pool and has not said a word since: it may be dead
        self.on_gone: Callable[[Connection], None] = _nothing
        self.greeting: asyncio.Future[Reply] = loop.create_future()
        self._deadlines = deadlines
        self._replies = ReplyReader()
        self._cut: deque[tuple[int, tuple[bytes, ...]]] = deque()  # replies that are read, but not handed out yet
        self._below = Below()
        self._write: Callable[[bytes], None] = _unconnected
        self._broken = False  # not all that was written has arrived
        self._full = False  # the upstream takes octets more slowly than they come
        self._poured = 0  # octets of the message, or of the chunk, so far
        self._chunk_open = False  # octets of a BDAT are still to come: its reply is not due
        self._end_waits = False  # what ends the message is given, but not said: nothing may come before it
        self.pending: deque[Expected] = deque()  # commands whose replies are awaited
        self._unsaid: list[Expected] = []  # commands that are written at the end of this round

    # -- asking

    def send(self, line: bytes, phase: Phase, answer: Answer, classes: tuple[int, ...] | None = None) -> None:
        """Say a command (without CRLF) soon. `answer` gets exactly one reply, if only a Fault's."""
        self.say(Expected(phase, answer, classes or CLASSES[phase], line))

    def say(self, command: Expected) -> None:
        """Say a command soon, as `send` does."""
        if self.dead:
            command.answer(self.why_dead(command.phase))
            return
        if not self._unsaid:
            self._deadlines.soon(self.flush)
        self._unsaid.append(command)

    def flush(self) -> None:
        """Write now what is to be said, in one piece. Only from then on can a reply be the answer to it."""
        if self._unsaid and len(self._cut) + (not self._replies.empty) > len(self.pending):
            self._hear_all()  # a farewell among them says more
            self._begun_too_early()
        said, self._unsaid = self._unsaid, []
        if said:
            octets = b""
            for command in said:
                self._expect(command)
                octets += command.line + b"\r\n"
            self._write(octets)

    def _expect(self, expected: Expected) -> None:
        if not self.pending:
            self.deadline = self._loop.time() + self.server.waits.replies[expected.phase]
        self.pending.append(expected)

    @property
    def asked(self) -> bool:
        """Whether replies are awaited, or will be."""
        return bool(self.pending or self._unsaid or self._end_waits)

    @property
    def under_way(self) -> int:
        """How many replies are awaited."""
        return len(self.pending) + len(self._unsaid)

    def ask(self, line: bytes, phase: Phase) -> asyncio.Future[Reply]:
        """Say one command now; the future holds its reply, a Fault's reply if none comes."""
        answered: asyncio.Future[Reply] = self._loop.create_future()
        self.send(line, phase, _unless_cancelled(answered))
        self.flush()
        return answered

    # -- the message

    def stream(self, octets: bytes) -> None:
        """Pass on message data, any piece of it before the final dot."""
        if octets and not self.dead:
            self._poured += len(octets)
            self._write(octets)

    def begin_chunk(self, line: bytes, phase: Phase, answer: Answer) -> None:
        """Say BDAT. The time for its reply begins with `end_chunk`, for the upstream awaits the octets till then."""
        self._chunk_open = True
        self._poured = 0
        self.send(line, phase, answer, (2,))
        self.flush()
        self._await_next()

    def end_chunk(self, octets: bytes) -> None:
        """Pass on the last octets of the chunk."""
        self.stream(octets)
        self._chunk_open = False
        self._await_next()

    def finish(self, octets: bytes, answer: Answer) -> None:
        """Pass on the last piece, final dot included, and await the verdict."""
        self.when_heard(lambda: self._finish(octets, answer))

    def when_heard(self, act: Callable[[], None], *, postponed: int = 0, since: float | None = None) -> None:
        """Do what ends a message, but hear first what was said before it.

        A reply that lies unread now would be taken for the verdict, an early `250` for a success. So the end waits for
        the next round of the loop while there is something to read. A reply that is begun and stays half is no reply;
        but the rest of a refusal is waited for as long as a reply to DATA, for it is the verdict.
        """
        self._end_waits = False
        if self._cut:
            self._hear_all()
        if not self.dead and (self._below.unread() or not self._replies.empty):
            now = self._loop.time()
            since = now if since is None else since
            refusing = self._replies.refusing and now - since < self.server.waits.replies[Phase.DATA]
            if refusing or postponed < _MAX_POSTPONED:
                self._end_waits = True
                pause = _REFUSAL_POLL_SECONDS if refusing else 0
                self._loop.call_later(pause, lambda: self.when_heard(act, postponed=postponed + 1, since=since))
                return
        if not self._replies.empty:
            self._begun_too_early()
        act()

    def _finish(self, octets: bytes, answer: Answer) -> None:
        if self.dead:
            answer(reply_for(Fault.DISCONNECTED, Phase.MESSAGE, self.server.name))
            return
        self.streaming = False
        self.pending.append(Expected(Phase.MESSAGE, answer, CLASSES[Phase.MESSAGE], b""))
        self._poured += len(octets)
        self._write(octets)
        self._await_next()

    # -- ending

    def abort(self, fault: Fault = Fault.DISCONNECTED, detail: str = "") -> None:
        """Cut the connection now: nothing that is still unsent may reach the upstream any more."""
        if self.dead:
            return
        self.dead = True
        self._ended_by = (fault, detail)
        self.deadline = NEVER
        self._deadlines.forget(self)
        if self.transport is not None:
            cast("asyncio.Transport", self.transport).abort()
        self.on_gone(self)
        pending, owner = (*self.pending, *self._unsaid), self.owner
        self.pending.clear()
        self._unsaid.clear()
        self._cut.clear()
        if owner is not None:
            owner.upstream_lost(pending, fault, detail)
            owner.upstream_heard()  # not every loss happens while something is read
            return
        for expected in pending:
            expected.answer(reply_for(fault, expected.phase, self.server.name, detail))

    def quit(self) -> None:
        """Take leave politely, without anybody waiting for it."""
        if self.dead:
            return
        self.owner = None
        self.on_gone(self)
        self.send(b"QUIT", Phase.MAIL, lambda _: self.abort())
        self.flush()
        self.deadline = self._loop.time() + _POLITE_SECONDS

    def expire(self) -> None:
        """The deadline has passed: a reply is overdue, or octets are not taken, or the connection idled long enough."""
        if self._below.taken():
            self._await_next()  # slow it is, but it takes the message
        elif self._full:
            seconds = self.server.waits.replies[Phase.DATA]
            took = f"took fewer than {_LEAST_TAKEN * seconds:.0f} octets of the message in {seconds:g} seconds"
            self.abort(Fault.TIMEOUT, f"{self.server.name} {took}")
        elif self.pending or self.streaming:
            self.abort(Fault.TIMEOUT)
        else:
            self.quit()

    def why_dead(self, phase: Phase) -> Reply:
        """What whoever asks a dead connection hears: what has ended it."""
        fault, detail = self._ended_by
        return reply_for(fault, phase, self.server.name, detail)

    def usable(self) -> bool:
        """Whether the connection can be trusted with a new transaction: alive, nothing asked, nothing half heard."""
        return not (self.dead or self.asked or self.streaming or self._cut) and self._replies.empty

    def silent(self) -> bool:
        """Whether it is usable and nothing lies unread either: who speaks at once would take that for the answer."""
        return self.usable() and not self._below.unread()

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to watch, and await the greeting before anything can have come."""
        self._speak_over(transport)
        self._expect(Expected(Phase.CONNECT, _unless_cancelled(self.greeting), CLASSES[Phase.CONNECT], b""))
        self._deadlines.watch(self)

    def begin_tls(self) -> None:
        """From now on the octets of the socket belong to the TLS over it, which may also close it.

        The handshake has a time of its own.
        """
        self._clear = False
        self.deadline = NEVER

    def use_tls(self, transport: asyncio.BaseTransport) -> None:
        """Go on over the encrypted transport."""
        self._speak_over(transport)
        limit_buffers(transport)
        self._over_ssl = self.secure = True
        if self.pending:  # implicit TLS: the greeting has its own time, after the handshake
            self.deadline = self._loop.time() + self.server.waits.replies[Phase.CONNECT]

    def data_received(self, data: bytes) -> None:
        """Cut what came into replies and hand each to the command it answers."""
        if self.dead:
            return
        awaits_turn = bool(self._cut)
        try:
            self._cut.extend(self._replies.feed(data))
        except GarbledError as error:
            self.abort(self._garbled_fault(data), f"{self.server.name} sent {error}")
            return
        if not awaits_turn:
            self._take_turn()

    def eof_received(self) -> bool:
        """The upstream has closed its side: it will not answer any more."""
        self._hear_all()
        self.abort(Fault.DISCONNECTED)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection broke, or `abort` has cut it."""
        if exc is not None and self._clear and not self.dead:
            self.data_received(self.last_words())
        self._hear_all()
        self.abort(Fault.DISCONNECTED, "" if exc is None or not str(exc) else f"{self.server.name}: {exc}")
        self.transport = None

    def last_words(self) -> bytes:
        """Writing has failed: what the upstream said before it closed, an early refusal maybe, lies unread."""
        self._broken = True
        return self._below.last_words()

    def pause_writing(self) -> None:
        """The upstream is slow: slow down who sends, and do not wait for ever."""
        self._full = True
        self._await_next()
        if self.owner is not None:
            self.owner.upstream_full(full=True)

    def resume_writing(self) -> None:
        """The upstream has caught up."""
        self._full = False
        self._await_next()
        if self.owner is not None:
            self.owner.upstream_full(full=False)

    # -- details

    def _take_turn(self) -> None:
        """Hand out some replies; a refusal, which is costly to explain, ends the turn of this connection."""
        owner = self.owner  # the last reply may end its ownership
        self._hand_out(_REPLIES_A_TURN, until_refusal=True)
        if self._cut:
            self._deadlines.in_turn(self._take_turn)
        if owner is not None:
            owner.upstream_heard()

    def _hear_all(self) -> None:
        """Hand out all replies that were read, out of turn: something comes that they must not be taken for."""
        self._hand_out(len(self._cut))

    def _hand_out(self, most: int, *, until_refusal: bool = False) -> None:
        try:
            for _ in range(most):
                if not self._cut:  # there are no more, or the connection has ended by the last
                    return
                code, lines = self._cut.popleft()
                self._hear(code, lines)
                if code >= 400 and until_refusal:
                    return
        except GarbledError as error:
            self.abort(self._garbled_fault(), f"{self.server.name} sent {error}")
        except Exception:  # noqa: BLE001 -- a bug of ours in whoever heard it: this connection is out of step
            _log.exception("a bug while a reply of %s was worked on", self.server.name)
            self.abort(Fault.BUG)

    def _hear(self, code: int, lines: tuple[bytes, ...]) -> None:
        if not self.pending:
            self._hear_unasked(code, lines)
            return
        expected = self.pending[0]
        kind = code // 100
        if code == 421 and self.rested and self.messages and expected.phase in _FIRST:
            # It has waited too long for its next user, who crossed this farewell, and can begin on another.
            self._closed(lines)
            return
        if kind < 4 and (kind not in expected.classes or (kind == 3 and GO_ON.get(code) is not expected.phase)):
            raise GarbledError(f"{code} where it cannot stand, as the answer in the phase {expected.phase}")
        if kind == 2 and expected.phase is Phase.MESSAGE and (self._broken or self._below.unsent()):
            raise GarbledError(f"{code} for a message whose end it cannot have seen")
        self.pending.popleft()
        self._await_next()
        self.rested = False
        if code == 354:
            self.streaming = True
            self._poured = 0
        elif code >= 400:
            self.refusals += 1
        try:
            expected.answer(Reply(expected.phase, code, lines))
        except Exception:
            self.pending.appendleft(expected)  # it was not answered
            raise

    def _await_next(self) -> None:
        """What the upstream owes now: to take what lies ready, or the next reply, or nothing."""
        if self._full:
            owed = Phase.DATA
        elif self.pending and not self._chunk_open:
            owed = self.pending[0].phase
        else:
            self.deadline = NEVER
            self._below.end_wait()
            return
        seconds = self.server.waits.replies[owed]
        self.deadline = self._loop.time() + seconds
        least = _LEAST_TAKEN * seconds
        # The end of a large message may lie in the system's queue for longer than a verdict takes.
        if self._full or (owed is Phase.MESSAGE and self._poured > least):
            self._below.begin_wait(least)
        else:
            self._below.end_wait()

    def _hear_unasked(self, code: int, lines: tuple[bytes, ...]) -> None:
        if self.owner is not None and self.streaming and code >= 400:
            owner, self.owner = self.owner, None
            self.abort()
            owner.upstream_early(Reply(Phase.MESSAGE, code, lines))
            return
        if code == 421:  # RFC 5321 section 3.8: a server may say so at any time, and close
            self._closed(lines)
            return
        raise GarbledError(f"{code} that nobody asked for")

    def _closed(self, lines: tuple[bytes, ...]) -> None:
        told = b" ".join(lines).decode("utf-8", "replace")
        self.abort(Fault.DISCONNECTED, f"{self.server.name} closed: 421 {told}")

    def _begun_too_early(self) -> None:
        """A reply of which a part came before what it is to answer cannot answer it."""
        self.abort(self._garbled_fault(), f"{self.server.name} began a reply before it was asked")

    def _garbled_fault(self, data: bytes = b"") -> Fault:
        if self.rested and not self.pending:  # its new user has not said a word to it: it is as good as dead
            return Fault.DISCONNECTED
        # A TLS alert record instead of a greeting: this port speaks TLS, and we did not.
        is_greeting = bool(self.pending) and self.pending[0].phase is Phase.CONNECT
        return Fault.TLS_WRONG_PORT if is_greeting and data[:2] == b"\x15\x03" else Fault.GARBLED

    def _speak_over(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._write = cast("asyncio.Transport", transport).write
        self._below.add(transport)


def _unless_cancelled(future: asyncio.Future[Reply]) -> Answer:
    def answer(reply: Reply) -> None:
        if not future.done():
            future.set_result(reply)

    return answer


def _unconnected(_: bytes) -> None:
    """Before it is connected a connection says nothing."""


def _nothing(_: Connection) -> None:
    """Nobody wants to know that the connection is gone."""
