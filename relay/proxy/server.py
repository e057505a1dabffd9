"""One client's connection: octets in, lines and message data out of them, replies back, each wait with its end.

It is an aiosmtpd server by class, but reads and writes for itself. The library's own loop takes a task, a stream and a
write per reply for each client, reads messages line by line into memory, keeps its idle timer running while the
upstream thinks, and answers what it does not foresee with a permanent 500 that names a Python class. Here everything
happens in `data_received`; a task is made only where something must be awaited.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from aiosmtpd.smtp import SMTP

from relay.deadlines import NEVER
from relay.memory import limit_buffers
from relay.networks import within, written
from relay.proxy.opening import read_proxy_header, shake_hands
from relay.proxy.patience import Lost, Patience
from relay.proxy.session import Session
from relay.smtp import Fault, Phase

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import Callable

    from relay.proxy.service import Listener, Service

_PAUSE_OCTETS = 65536  # read no further ahead of what is being worked on
_LINES_A_TURN = 10  # of one client; then the others have their turn, lest a flood of commands keep everybody waiting
_MAX_SKIPPED = 1 << 20  # octets of a line without end
_LINGER_SECONDS = 10.0  # for the last reply to be read
_HTTP = re.compile(rb"[A-Z]+ \S+ HTTP/\d", re.IGNORECASE)  # a browser may be made to say any method, EHLO too
_TLS_RECORD = b"\x16\x03"


class ClientConnection(SMTP):
    """The wire to one client; what is said on it is the business of its `Session`."""

    transport: asyncio.Transport | None

    def __init__(self, service: Service, listener: Listener, loop: asyncio.AbstractEventLoop) -> None:
        # SMTP.__init__ is left out: it inspects every method of the class for each client, a tenth of a short session.
        self.loop = loop
        self.service = service
        self.listener = listener
        self.deadline = NEVER
        self.transport = None
        self.address = ""
        self.encrypted = False
        self.closing = False
        self._counted: str | None = None  # the address this client was counted under
        self._unwelcome: Fault | None = None  # why it must be turned away
        self._shaking = False  # hands, for TLS: nothing can be said meanwhile, and what comes is not for us
        self._greeted = False
        self._buffer = bytearray()  # cutting a line off its front does not copy the rest
        self._out: list[bytes] = []
        self._sink: Callable[[bytes], bytes] | None = None
        self._working = False
        self._held = False  # the next line must wait
        self._tired = False  # no more lines in this turn
        self._turn_over = False  # there is more to work on, in the next turn
        self._full = False  # the client does not read its replies
        self._throttled = False  # the upstream takes the message more slowly than it comes
        self._paused = False
        self._skipped = 0  # octets of an overlong line dropped so far
        self._ended = False  # the client has closed its side
        self._patience = Patience(loop.time())
        self._session = Session(self, service)

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the client in, after the PROXY header where one must come."""
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.address = written(peer[0]) if isinstance(peer, tuple) else ""
        self.service.clients.add(self)
        self.deadline = self.loop.time() + self.service.rules.client_idle
        self.service.deadlines.watch(self)
        if within(self.address, self.listener.proxies):
            self.hold()
            self.service.spawn(read_proxy_header(self), self.fail)
        else:
            self.arrive()
        self.proceed()

    def data_received(self, data: bytes) -> None:
        """Work on what came; whatever goes wrong in it ends in one place."""
        if self.closing:
            return
        if self._sink is not None:
            self._patience.octets(len(data), self.loop.time())
            data = self._poured(data)
        if data:
            self._buffer += data
        self.proceed()

    def eof_received(self) -> bool:
        """The client has closed its side. It may still read (`printf ... | nc`): finish what it asked, then close."""
        self._ended = True
        if self._in_message:  # it will never be complete
            self.close()
        else:
            self.proceed()
        return not (self.closing or self.encrypted)

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone. This may be told more than once."""
        del error
        if self.transport is None:
            return
        self.closing = True
        self.deadline = NEVER
        self.service.deadlines.forget(self)
        self.service.clients.discard(self)
        self.service.turned_away.discard(self)
        if self._counted is not None:
            self.service.leave(self._counted)
        else:
            self.service.count_clients()
        self._sink = None
        self._buffer.clear()
        self.transport = None
        self._session.client_gone()

    def pause_writing(self) -> None:
        """The client does not read its replies: no more work for it until it does."""
        self._full = True

    def resume_writing(self) -> None:
        """The client reads again."""
        self._full = False
        self.proceed()

    def expire(self) -> None:
        """The deadline has passed. It is not moved with all that happens: often it is only time to look again."""
        if self.closing:  # the last reply is not read either
            self.cut()
        else:
            self._judge()

    # -- what the session calls

    def write(self, octets: bytes) -> None:
        """Give a complete reply; all replies of this round leave in one piece."""
        if not self._out:
            self.service.deadlines.soon(self._write_out)
        self._out.append(octets)

    def tire(self) -> None:
        """End this client's turn: what it said took long to answer."""
        self._tired = True

    def close(self) -> None:
        """Close when all that is queued has left."""
        self.closing = True
        self._sink = None
        self._write_out()
        if self.transport is not None:
            self.deadline = self.loop.time() + _LINGER_SECONDS
            self.transport.close()

    def hold(self) -> None:
        """Read no further command until `go_on`."""
        self._held = True

    def go_on(self) -> None:
        """Read commands again."""
        self._held = False

    def take_octets(self, sink: Callable[[bytes], bytes]) -> None:
        """Give what comes to `sink`, until it calls `take_lines` and returns what it leaves over."""
        self._sink = sink
        self._await_message()
        if self._buffer:
            octets = bytes(self._buffer)
            self._buffer.clear()
            self._patience.octets(len(octets), self.loop.time())
            self._buffer[:0] = sink(octets)

    def take_lines(self) -> None:
        """Read lines again."""
        self._sink = None

    def throttle(self, *, on: bool) -> None:
        """The upstream is slow with the message: so is the client made (or no longer)."""
        if on != self._throttled:
            self._throttled = on
            self._await_message()
            self._settle()

    def arrive(self, said: bytes = b"") -> None:
        """Count the client in, if it may come in, and speak with it: first of TLS where that is implicit.

        `said` is what has come from it already, behind the header of its proxy.
        """
        self._unwelcome = self.service.admit(self.address)
        if self._unwelcome is None:
            self._counted = self.address
        if not self.listener.implicit_tls or self.listener.tls is None:
            self._welcome()
        elif self._unwelcome is None or self.service.may_be_told(self, self._unwelcome):
            self.start_tls(self.listener.tls)
        else:
            self.closing = True
            self.cut()
        self.data_received(said)

    def encrypted_by(self, transport: asyncio.Transport) -> None:
        """Go on over the encrypted transport: with the greeting, or as if nothing had been said before (RFC 3207)."""
        self.transport = transport
        limit_buffers(transport)
        self.encrypted = True
        self._shaking = self._paused = False
        if self.listener.implicit_tls:
            self._welcome()
        else:
            self._session.restart()
        self.go_on()
        self.proceed()

    def turn_away(self, fault: Fault, detail: str, phase: Phase) -> None:
        """Refuse and close."""
        self._session.dismiss(fault, detail, phase)
        self.proceed()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands (RFC 3207). What was read before is forgotten: it was not said under encryption."""
        self._buffer.clear()
        self.hold()
        self._write_out()
        self._shaking = True
        self.service.spawn(shake_hands(self, context), self.fail)

    def said_for_tls(self) -> bytes:
        """The beginning of the client's own handshake, as far as it came before anybody read it as such."""
        said = bytes(self._buffer)
        self._buffer.clear()
        return said

    def fail(self) -> None:
        """A task that worked for this client has failed unforeseen (called while its exception is being handled)."""
        self._session.bug()
        self.proceed()

    def drain(self) -> None:
        """The relay is shutting down: a client between two mails is told so; one in the middle may finish."""
        if self._shaking:
            self.cut()
        elif not (self._session.in_transaction or self.closing):
            self._session.dismiss(Fault.SHUTTING_DOWN)
            self.proceed()

    def cut(self) -> None:
        """The time to finish is over."""
        if self.transport is not None:
            if not (self.closing or self._shaking):
                self._session.cut_short()
            self.transport.abort()

    def proceed(self) -> None:
        """Work on what has come: the end of everything that happens to a client."""
        if self._working:  # called from within: the outer call goes on with what has changed
            return
        if self._buffer and not self._turn_over:
            self._work()
        if self._ended and not (self.closing or self._turn_over) and self._owes_nothing():
            self.close()
        if not self.closing:
            self._patience.last_event = self.loop.time()
            self._settle()

    # -- details

    def _welcome(self) -> None:
        """Greet the client, or turn it away."""
        if self._unwelcome is not None:
            self._session.dismiss(self._unwelcome, phase=Phase.CONNECT)
        elif not self.listener.admits(self.address):
            self._session.refuse(Fault.NOT_ALLOWED, phase=Phase.CONNECT)  # for good: 421 would ask it to try again
            self.close()
        else:
            self.write(
                b"220 " + self.service.rules.hostname.encode("ascii", "replace") + b" ESMTP explaining-relay\r\n"
            )

    def _judge(self) -> None:
        """Lose patience, or set the time to look again."""
        rules, now = self.service.rules, self.loop.time()
        if self._sink is not None and not self._throttled:
            judged = self._patience.with_message(rules, now)
        elif self._held or self._throttled or self._session.busy:  # it waits for us, not we for it
            judged = now + rules.client_idle
        else:
            judged = self._patience.with_silence(rules, now)
        if isinstance(judged, Lost):
            self._session.dismiss(*judged)
        else:
            self.deadline = judged

    @property
    def _in_message(self) -> bool:
        """Whether what comes is taken for octets of a message (those of a PROXY header come before any mail)."""
        return self._sink is not None and self._session.in_transaction

    def _owes_nothing(self) -> bool:
        """Whether a client that has ended its side is done, or in a message that will never be complete."""
        return self._in_message or not (self._held or self._session.busy)

    def _poured(self, data: bytes) -> bytes:
        try:
            return self._sink(data) if self._sink is not None else data
        except Exception:  # noqa: BLE001 - see proceed
            self._session.bug(Phase.MESSAGE)
            return b""

    def _work(self) -> None:
        self._working = True
        try:
            self._read_lines()
        except Exception:  # noqa: BLE001 - a bug costs one answer 451, not the process, nor the client's trust
            self._session.bug()
            self._turn_ends()
        finally:
            self._working = False

    def _read_lines(self) -> None:
        self._tired = False
        for _ in range(_LINES_A_TURN):
            if self._tired:
                break
            if not self._buffer or self._sink is not None or self._held or self._full or self.closing:
                return
            end = self._buffer.find(b"\n") + 1
            if not end:
                self._check_endless()
                return
            line = bytes(self._buffer[:end])
            del self._buffer[:end]
            if self._skipped:
                self._skipped = 0
            elif not self._greeted and self._is_not_smtp(line):
                self._session.dismiss(Fault.NOT_SMTP)
            elif not self._taken(line):
                self._buffer[:0] = line  # its turn comes when what was said before it is answered
                return
        self._turn_ends()

    def _taken(self, line: bytes) -> bool:
        if len(line) > self.service.rules.auth_line:
            return self._session.overlong()
        return self._session.hear(line[:-2] if line.endswith(b"\r\n") else line[:-1])

    def _turn_ends(self) -> None:
        """Go on in the next round of the loop with what is left."""
        if self._buffer and not self._turn_over:
            self._turn_over = True
            self.service.deadlines.in_turn(self._next_turn)

    def _next_turn(self) -> None:
        self._turn_over = False
        self.proceed()

    def _is_not_smtp(self, line: bytes) -> bool:
        """Whether the first line comes from a web browser or is a TLS handshake."""
        self._greeted = True
        return bool(_HTTP.match(line)) or line.startswith(_TLS_RECORD)

    def _check_endless(self) -> None:
        if not self._greeted and self._buffer.startswith(_TLS_RECORD):
            self._session.dismiss(Fault.NOT_SMTP, "a TLS handshake came where plain SMTP is spoken")
        elif self._skipped or len(self._buffer) > self.service.rules.auth_line:
            if not self._skipped and not self._session.overlong():
                return  # what is read meanwhile is bounded, see _settle
            self._skipped += len(self._buffer)
            self._buffer.clear()
            if self._skipped > _MAX_SKIPPED:
                self._session.dismiss(Fault.LINE_TOO_LONG)

    def _write_out(self) -> None:
        out, self._out = self._out, []
        if out and self.transport is not None and not self.transport.is_closing():
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))

    def _settle(self) -> None:
        """Whether to read from the client now."""
        if (self._throttled or len(self._buffer) > _PAUSE_OCTETS) is not self._paused and self.transport is not None:
            self._paused = not self._paused
            (self.transport.pause_reading if self._paused else self.transport.resume_reading)()

    def _await_message(self) -> None:
        self._patience.begin_message(self.loop.time())
        if not self.closing:
            self._judge()
