"""The message on its way through: DATA to the final dot, or the chunks of BDAT; never more than a piece in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.smtp import Fault, Phase, Reply, reply_for
from relay.smtp.message import MessageScanner

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.proxy.session import Session
    from relay.proxy.transaction import Transaction
    from relay.smtp.message import NewlineGuard
    from relay.upstream.connection import Connection


class Body:
    """Message data after DATA. Read to its end whatever happens, so that client and relay stay in step."""

    def __init__(self, transaction: Transaction) -> None:
        self.complete = False  # all octets came, the final dot may be on its way: the verdict is the upstream's
        self._transaction = transaction
        self._scanner = MessageScanner(normalize=transaction.service.rules.normalize_newlines)
        self._limit = transaction.service.rules.message_size
        self._verdict: Reply | None = None

    def feed(self, octets: bytes) -> bytes:
        """Pass on a piece; return what follows the final dot."""
        transaction, scanner = self._transaction, self._scanner
        clean = scanner.feed(octets)
        if self._verdict is None:
            self._check()
        connection = transaction.connection
        if not scanner.ended:
            if connection is not None and self._verdict is None:
                connection.stream(clean)
            return b""
        transaction.size = scanner.size
        transaction.client.take_lines()
        transaction.client.hold()
        if connection is not None and self._verdict is None:
            self.complete = True
            connection.finish(clean, self._judge)
        else:
            self._judge(self._verdict or reply_for(Fault.DISCONNECTED, Phase.MESSAGE))
        return scanner.rest

    def stop(self, verdict: Reply) -> None:
        """Nothing more goes upstream; the client hears the verdict when it has said all it has to say."""
        if self.complete:
            self._judge(verdict)
        elif self._verdict is None:
            self._verdict = verdict

    def _judge(self, verdict: Reply) -> None:
        if self._transaction.body is self:  # only the first verdict counts
            self._transaction.judged(verdict)

    def _check(self) -> None:
        fault = self._scanner.fault
        if fault is None and self._limit is not None and self._scanner.size > self._limit:
            fault = Fault.MESSAGE_TOO_BIG
        if fault is not None:
            self._verdict = refusal(fault, self._limit)
            self._transaction.lose(fault)


class Chunk:
    """One BDAT chunk: a counted number of octets, its own reply (RFC 3030 section 2)."""

    def __init__(self, transaction: Transaction, size: int, guard: NewlineGuard, *, last: bool) -> None:
        self.complete = False  # all octets went upstream
        self._transaction = transaction
        self._guard = guard
        self._size = size
        self._left = size
        self._last = last
        self._reply: Reply | None = None

    def begin(self, connection: Connection) -> None:
        """Pass on the command, then whatever octets of it are here."""
        self._transaction.client.hold()
        connection.when_heard(lambda: self._begin(connection))

    def _begin(self, connection: Connection) -> None:
        if not self._size:
            self._check(b"")
        phase = Phase.MESSAGE if self._last else Phase.DATA
        connection.begin_chunk(b"BDAT %d%s" % (self._size, b" LAST" if self._last else b""), phase, self._heard)
        if self._size:
            self._transaction.client.take_octets(self.feed)
        else:
            self._end(b"")
        self._transaction.client.proceed()  # it may be later than the command

    def feed(self, octets: bytes) -> bytes:
        """Pass on a piece; return what follows the chunk."""
        transaction = self._transaction
        piece, rest = octets[: self._left], octets[self._left :]
        self._left -= len(piece)
        transaction.size = (transaction.size or 0) + len(piece)
        self._check(piece)
        if self._left:
            if transaction.connection is not None:
                transaction.connection.stream(piece)
            return b""
        transaction.client.take_lines()
        if transaction.connection is not None:
            transaction.connection.when_heard(lambda: self._end(piece))
        else:
            self._end(piece)
        return rest

    def stop(self, verdict: Reply) -> None:
        """Nothing more goes upstream; the rest of the chunk is read and forgotten. A complete one has its own reply."""
        if self._reply is None and not self.complete:
            self._reply = verdict

    def _check(self, piece: bytes) -> None:
        limit = self._transaction.service.rules.message_size
        fault = self._guard.look(piece, final=self._last and not self._left)
        if fault is None and limit is not None and (self._transaction.size or 0) > limit:
            fault = Fault.MESSAGE_TOO_BIG
        if fault is not None and self._reply is None:
            self._reply = refusal(fault, limit)
            self._transaction.lose(fault)

    def _end(self, piece: bytes) -> None:
        if self._transaction.connection is not None:
            self._transaction.connection.end_chunk(piece)
        self.complete = True
        if self._reply is not None:
            self._answer(self._reply)
            self._transaction.client.proceed()  # it may be later than the octets

    def _heard(self, reply: Reply) -> None:
        if reply.ok and not self.complete:  # a success for octets that it cannot have seen
            self._transaction.lose(Fault.GARBLED)
            reply = reply_for(Fault.GARBLED, Phase.DATA, self._transaction.server.name)  # the last octet has not left
        if self._reply is None:
            self._reply = reply
            if self.complete:
                self._answer(reply)

    def _answer(self, reply: Reply) -> None:
        self._transaction.body = None
        if self._last:
            self._transaction.judged(reply)
        else:
            self._transaction.chunk_answered(reply, last=False)


def skip_octets(session: Session, size: int, answer: Callable[[], object]) -> None:
    """Read the octets of a BDAT that cannot be passed on, and forget them; then answer."""
    client = session.client
    left = size

    def skip(octets: bytes) -> bytes:
        nonlocal left
        rest = octets[left:]
        left -= len(octets) - len(rest)
        if not left:
            client.take_lines()
            answer()
        return rest

    if size:
        client.take_octets(skip)
    else:
        answer()


def refusal(fault: Fault, limit: int | None) -> Reply:
    """Why the relay itself does not pass this message on."""
    detail = f"the message is larger than {limit} octets" if fault is Fault.MESSAGE_TOO_BIG else ""
    return reply_for(fault, Phase.MESSAGE, detail=detail)
