"""Clients that say anything, upstreams that answer anything: what the relay promises holds after every step.

A state machine of hypothesis plays both ends against a relay in this process. Time is moved by hand, so that a silent
peer costs nothing. `make fuzz` plays far more of them.
"""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

import pytest
from fuzz_clock import REFUSED, SILENT
from fuzz_upstream import Said
from fuzz_world import PATIENCE_SECONDS, World
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

if TYPE_CHECKING:
    from fuzz_client import Client
    from fuzz_upstream import UpstreamEnd

_EXAMPLES = int(os.environ.get("FUZZ_DIALOGUES", "100"))
_STEPS = int(os.environ.get("FUZZ_STEPS", "50"))

_LINES = st.sampled_from(
    [b"EHLO client.test", b"HELO client.test", b"EHLO", b"NOOP", b"RSET", b"VRFY someone", b"HELP", b"DATA", b"DATA x",
     b"RCPT TO:<>", b"MAIL FROM:", b"rcpt to:nobody", b"BDAT", b"BDAT x", b"BDAT 0", b"BDAT 0 LAST", b"STARTTLS",
     b"ETRN x", b"secret", b"", b".", b"\0", b"NOOP\0\r", b"MAIL FROM:<a@b.test>\x1b", b"x" * 3000, b"QUIT",
     b"y" * 13_000, b"RCPT TO:<a\r.b@c.test>", "MAIL FROM:<ü@b.test>".encode(), b"AUTH", b"AUTH EXTERNAL ="]
)  # fmt: skip
_PARTS = st.sampled_from(
    [b"text", b"\r\n", b".", b"..", b"\r\n.", b"\r\n..\r\n", b"\xe4\xff", b"z" * 900, b" \t", b"\n", b"\r", b"\0",
     b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"MAIL FROM:<x@y.test>\r\n"]
)  # fmt: skip
_CLEAN = st.sampled_from([b"text", b"\r\n", b".", b"\r\n..", b"\xe4\xff", b"line\r\n", b"z" * 100, b"NOOP\r\n"])
_TEXTS = st.one_of(st.lists(_CLEAN, max_size=6), st.lists(_PARTS, max_size=6)).map(b"".join)
Way = tuple[list[int], bool]  # the sizes of the first pieces; whether the relay is left no time behind the last
_WAYS = st.tuples(st.lists(st.integers(1, 60), max_size=3), st.booleans())
_BAD_CODES = st.sampled_from([421, 450, 451, 452, 454, 500, 501, 502, 503, 535, 550, 552, 553, 554, 571, 599])
_WORDS = st.sampled_from(
    [b"4.2.2 Mailbox full", b"5.1.1 User unknown", b"5.7.1 Access denied", b"no", b"", b"\x1b[31m\xff\x00", b"w" * 700]
)
_GARBAGE = st.sampled_from(
    [b"\0\r\n", b"HTTP/1.1 200 OK\r\n", b"999 what\r\n", b"250xok\r\n", b"250-a\r\n550 b\r\n", b"\r\n", b"z" * 70_000,
     b"\x15\x03\x01\r\n", b"2_5 ok\r\n"]
)  # fmt: skip


class Dialogue(RuleBasedStateMachine):
    """Each rule is something that one end does; `rush` leaves the relay no time before the next one."""

    @initialize(normalize=st.booleans())
    def begin(self, normalize: bool) -> None:
        self.world = World(normalize=normalize)
        self.world.connect()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.end()

    # -- the clients

    @property
    def _living(self) -> list[Client]:
        return [client for client in self.world.clients if not (client.gone or client.closed)]

    def _client(self, which: int) -> Client:
        return self._living[which % len(self._living)] if self._living else self.world.connect()

    def _say(self, which: int, octets: bytes, way: Way) -> None:
        client, (cuts, rush) = self._client(which), way
        for size in cuts:
            client.say(octets[:size])
            octets = octets[size:]
            self.world.settle()
        client.say(octets)
        self._after(rush)

    def _after(self, rush: bool) -> None:
        if not rush:
            self.world.settle()

    @precondition(lambda self: len(self._living) < 3)
    @rule()
    def connect(self) -> None:
        self.world.connect()

    @rule(which=st.integers(0, 2), line=_LINES, end=st.sampled_from([b"\r\n", b"\r\n", b"\n"]), rush=st.booleans())
    def say_anything(self, which: int, line: bytes, end: bytes, rush: bool) -> None:
        self._say(which, line + end, ([], rush))

    @rule(which=st.integers(0, 2), hello=st.booleans(), recipients=st.integers(0, 7), data=st.booleans(), way=_WAYS)
    def say_mail(self, which: int, hello: bool, recipients: int, data: bool, way: Way) -> None:
        numbers = [self.world.number() for _ in range(recipients)]
        lines = [b"EHLO client.test\r\n"] if hello else []
        lines.append(b"MAIL FROM:<s%d@a.test> SIZE=100\r\n" % self.world.number())
        lines += [b"RCPT TO:<r%d@b.test>\r\n" % number for number in numbers]
        lines += [b"DATA\r\n"] if data else []
        self._say(which, b"".join(lines), way)

    @rule(which=st.integers(0, 2), rush=st.booleans())
    def say_recipient(self, which: int, rush: bool) -> None:
        self._say(which, b"RCPT TO:<r%d@b.test>\r\n" % self.world.number(), ([], rush))

    @rule(which=st.integers(0, 2), text=_TEXTS, whole=st.booleans(), behind=_LINES, way=_WAYS)
    def say_message(self, which: int, text: bytes, whole: bool, behind: bytes, way: Way) -> None:
        number = b"Id: %d\r\n" % self.world.number()
        self._say(which, number + text + (b"\r\n.\r\n" + behind + b"\r\n" if whole else b""), way)

    @rule(which=st.integers(0, 2), text=_TEXTS, last=st.booleans(), way=_WAYS)
    def say_chunk(self, which: int, text: bytes, last: bool, way: Way) -> None:
        text = b"Id: %d\r\n" % self.world.number() + text
        self._say(which, b"BDAT %d%s\r\n" % (len(text), b" LAST" if last else b"") + text, way)

    @rule(which=st.integers(0, 2), challenge=st.booleans())
    def log_in(self, which: int, challenge: bool) -> None:
        secret = base64.b64encode(b"\0user\0%d" % self.world.number())
        self._say(which, secret + b"\r\n" if challenge else b"AUTH PLAIN " + secret + b"\r\n", ([], False))

    @rule(which=st.integers(0, 2))
    def vanish(self, which: int) -> None:
        self.world.settle()
        self._client(which).vanish()
        self.world.settle()

    @rule(which=st.integers(0, 2))
    def half_close(self, which: int) -> None:
        self.world.settle()
        client = self._client(which)
        client.half_close()
        self.world.settle()

    # -- the upstream

    @property
    def _connected(self) -> list[UpstreamEnd]:
        return [upstream for upstream in self.world.upstreams if not upstream.over]

    def _answer(self, which: int, said: Said, *, half: bool = False) -> None:
        self._connected[which % len(self._connected)].answer(said, half=half)

    @rule()
    def upstream_accepts_all(self) -> None:
        self.world.answer_all()

    @precondition(lambda self: self._connected)
    @rule(which=st.integers(0, 2), half=st.booleans(), rush=st.booleans())
    def upstream_accepts(self, which: int, half: bool, rush: bool) -> None:
        upstream = self._connected[which % len(self._connected)]
        self._answer(which, self.world.good(upstream.owed[0] if upstream.owed else ("MESSAGE", b"")), half=half)
        self._after(rush)

    @precondition(lambda self: self._connected)
    @rule(which=st.integers(0, 2), code=_BAD_CODES, words=_WORDS, half=st.booleans(), rush=st.booleans())
    def upstream_refuses(self, which: int, code: int, words: bytes, half: bool, rush: bool) -> None:
        wire = b"%d-%s\r\n%d refused-%d\r\n" % (code, words, code, self.world.number())
        self._answer(which, Said(code, wire), half=half)
        self._after(rush)

    @precondition(lambda self: self._connected)
    @rule(which=st.integers(0, 2), code=st.sampled_from([220, 221, 235, 250, 251, 252, 299, 334, 354]))
    def upstream_says_any_success(self, which: int, code: int) -> None:
        self._answer(which, Said(code, b"%d success-%d\r\n" % (code, self.world.number())))

    @precondition(lambda self: self._connected)
    @rule(which=st.integers(0, 2), garbage=_GARBAGE, rush=st.booleans())
    def upstream_lies(self, which: int, garbage: bytes, rush: bool) -> None:
        self._connected[which % len(self._connected)].lie(garbage)
        self._after(rush)

    @precondition(lambda self: self._connected)
    @rule(which=st.integers(0, 2), rush=st.booleans())
    def upstream_leaves(self, which: int, rush: bool) -> None:
        self._connected[which % len(self._connected)].close()
        self._after(rush)

    @rule(outcomes=st.lists(st.sampled_from(["", REFUSED, SILENT]), max_size=3))
    def next_connections(self, outcomes: list[str]) -> None:
        self.world.outcomes = outcomes

    @rule(seconds=st.sampled_from([0.5, 0.5, 0.5, 6.0, 31.0, 70.0, PATIENCE_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.world.wait(seconds)


@pytest.mark.timeout(900)  # where it fails, the dialogue is made shorter for some minutes
def test_whatever_is_said_the_promises_hold():
    run_state_machine_as_test(
        Dialogue,
        settings=settings(
            max_examples=_EXAMPLES,
            stateful_step_count=_STEPS,
            deadline=None,
            derandomize="FUZZ_DIALOGUES" not in os.environ,  # the ordinary run plays the same each time
            suppress_health_check=list(HealthCheck),
        ),
    )
