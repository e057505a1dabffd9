"""Messages by the thousand through a relay of its own process: none may be changed, and no success may be false.

Clients and upstream are played here, so that each 250 can be held at once against what the upstream has said of that
very message. Messages are random, of text and of octets, with dots and line ends where pieces are cut, sent with DATA
and with BDAT. One in four meets an upstream that refuses, lies, leaves, or says nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from fuzz_mass_upstream import FATES, Ledger, Upstream

sys.path.insert(0, str(Path(__file__).parents[1] / "running"))
from running_relay import run_relay

_AT_ONCE = 32
_REPLY_SECONDS = 2  # of the relay: the silent upstream costs no more
_PIECES = (
    b"\r\n",
    b".",
    b"\r\n.",
    b"\r\n..",
    b"..\r\n",
    b"\r\n.\r",
    b"\xff\xfe",
    b" \t\r\n",
    b"line of text\r\n",
    b"x",
)
_SPOILS = (b"\n", b"\r", b"\0", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"a\nb")


@dataclass(slots=True)
class Outcome:
    """What came of it. The last three must stay 0."""

    sent: int = 0
    replies: Counter[int] = field(default_factory=Counter)
    confirmed: int = 0
    hostile: int = 0
    vanished: int = 0
    delayed: int = 0  # mails that should have passed, but met a connection which another one had spoilt
    seconds: float = 0.0
    false_successes: int = 0
    changed: int = 0
    twice: int = 0
    first: str = ""

    def wrong(self, kind: str, why: str) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        self.first = self.first or f"{kind}: {why}"


@dataclass(frozen=True, slots=True)
class Mail:
    """One message and how it is sent."""

    number: int
    fate: str  # what the upstream will do
    text: bytes
    clean: bool
    chunks: bool  # BDAT
    vanishes: bool  # the client, in the middle of it

    @property
    def envelope(self) -> bytes:
        """MAIL and RCPT; the fate travels in the address."""
        return b"MAIL FROM:<m%d.%s@a.test>\r\nRCPT TO:<r%d@b.test>\r\n" % (
            self.number,
            self.fate.encode(),
            self.number,
        )


def mails(count: int, seed: int) -> list[Mail]:
    """So many random mails."""
    rng = random.Random(seed)
    return [_mail(rng, number) for number in range(count)]


def _mail(rng: random.Random, number: int) -> Mail:
    fate = rng.choice(FATES) if rng.random() < 0.25 else "accept"
    parts = rng.choices(_PIECES, k=rng.randrange(40))
    if rng.random() < 0.3:
        parts.append(rng.randbytes(rng.choice((10, 500, 4000, 60_000))).translate(None, b"\0\r\n"))
    rng.shuffle(parts)
    text = b"".join(parts).replace(b"\r\r\n", b"\r\n")
    text = _whole_lines(text)
    clean = rng.random() > 0.02
    if not clean:
        text = b"spoilt" + rng.choice(_SPOILS) + text
    vanishes = rng.random() < 0.01
    return Mail(number, fate, text, clean, chunks=rng.random() < 0.25, vanishes=vanishes)


def _whole_lines(text: bytes) -> bytes:
    """The same, without a CR or LF that stands alone."""
    return b"\r\n".join(part.replace(b"\r", b"").replace(b"\n", b"") for part in text.split(b"\r\n")) + b"\r\n"


class _Client:
    """One connection of a client: its mails, one after the other."""

    def __init__(self, address: tuple[str, int], rng: random.Random) -> None:
        self._address = address
        self._rng = rng
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, mail: Mail) -> int:
        """Send a mail; the code of the verdict, 0 where the client vanished."""
        if self._writer is None or self._rng.random() < 0.1:
            await self._connect()
        assert self._writer is not None
        send = self._send_chunks if mail.chunks else self._send_data
        code = await send(mail)
        if code in (0, 421):
            self.close()
        elif code >= 400 and self._writer is not None:
            self._writer.write(b"RSET\r\n")
            if await self._hear() == 421:
                self.close()
        return code

    async def _connect(self) -> None:
        self.close()
        self._reader, self._writer = await asyncio.open_connection(*self._address)
        await self._hear()
        self._writer.write(b"EHLO client.test\r\n")
        await self._hear()

    async def _send_data(self, mail: Mail) -> int:
        assert self._writer is not None
        self._writer.write(mail.envelope + b"DATA\r\n")
        codes = [await self._hear() for _ in range(3) if self._writer is not None]
        if codes[-1] != 354:
            return next(code for code in codes if code >= 400)
        stuffed = (b"\r\n" + mail.text).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
        return await self._pour(stuffed, vanishes=mail.vanishes)

    async def _send_chunks(self, mail: Mail) -> int:
        assert self._writer is not None
        self._writer.write(mail.envelope)
        codes = [await self._hear() for _ in range(2) if self._writer is not None]
        if max(codes) >= 400:
            return max(codes)
        at = self._rng.randrange(len(mail.text))
        chunks = b"BDAT %d\r\n" % at + mail.text[:at] + b"BDAT %d LAST\r\n" % (len(mail.text) - at) + mail.text[at:]
        first = await self._pour(chunks, vanishes=mail.vanishes)
        return first if first in (0, 421) else max(first, await self._hear())

    async def _pour(self, octets: bytes, *, vanishes: bool) -> int:
        """Write in random pieces, each of which leaves by itself; then hear."""
        assert self._writer is not None
        if vanishes:
            octets = octets[: self._rng.randrange(len(octets))]
        for _ in range(self._rng.randrange(4)):
            size = self._rng.randrange(1, len(octets) + 1) if octets else 0
            self._writer.write(octets[:size])
            octets = octets[size:]
            await asyncio.sleep(0)
        self._writer.write(octets)
        return 0 if vanishes else await self._hear()

    async def _hear(self) -> int:
        """One reply; a connection that ends without a word is an error of the relay."""
        assert self._reader is not None
        async with asyncio.timeout(30):
            while True:
                line = await self._reader.readline()
                assert line.endswith(b"\r\n"), f"closed without a word, after {line!r}"
                if line[3:4] == b" ":
                    break
        if line.startswith(b"421"):
            self.close()
        return int(line[:3])

    def close(self) -> None:
        """Vanish."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None


async def _work(queue: list[Mail], client: _Client, ledger: Ledger, outcome: Outcome) -> None:
    while queue:
        mail = queue.pop()
        digest = hashlib.sha256(mail.text).hexdigest()
        code = await client.send(mail)
        outcome.sent += 1
        outcome.replies[code] += 1
        outcome.hostile += mail.fate != "accept"
        outcome.vanished += mail.vanishes
        _judge(mail, code, ledger, outcome, digest)
    client.close()


def _judge(mail: Mail, code: int, ledger: Ledger, outcome: Outcome, digest: str) -> None:
    came, accepted = ledger.came[mail.number], ledger.accepted[mail.number]
    if 200 <= code < 300:
        outcome.confirmed += 1
        if not accepted or not mail.clean:
            outcome.wrong("false_successes", f"{mail.fate} {mail.number}")
    elif mail.fate == "accept" and mail.clean and not mail.vanishes and code < 500:
        outcome.delayed += 1
    if any(one != digest for one in came):
        outcome.wrong("changed", f"{mail.fate} {mail.number} {mail.text[:80]!r}")
    if len(came) > 1:
        outcome.wrong("twice", f"{mail.fate} {mail.number}")


async def _drive(count: int, seed: int) -> Outcome:
    outcome, ledger = Outcome(), Ledger()
    server = await asyncio.get_running_loop().create_server(lambda: Upstream(ledger), "127.0.0.1", 0, backlog=500)
    port = server.sockets[0].getsockname()[1]
    settings = {
        "upstream": {"url": f"smtp+plain://127.0.0.1:{port}"},
        "timeouts": {"upstream_reply": _REPLY_SECONDS},
        "limits": {"errors": 1000},
    }
    with tempfile.TemporaryDirectory() as folder:
        relay = run_relay(Path(folder), settings)
        running = await asyncio.to_thread(relay.__enter__)
        try:
            queue, started = mails(count, seed)[::-1], time.monotonic()
            clients = [_Client(running.addresses[0], random.Random(seed + each)) for each in range(_AT_ONCE)]
            await asyncio.gather(*(_work(queue, client, ledger, outcome) for client in clients))
            outcome.seconds = time.monotonic() - started
        finally:
            server.close()
            await asyncio.to_thread(relay.__exit__, None, None, None)
    return outcome


def run(count: int, seed: int = 1) -> Outcome:
    """Send so many mails."""
    try:
        import uvloop  # noqa: PLC0415 -- not on every system
    except ImportError:
        return asyncio.run(_drive(count, seed))
    return uvloop.run(_drive(count, seed))
