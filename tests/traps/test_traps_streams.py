"""Traps of both libraries about memory, stopping and slow peers: the bare class has them, the relay does not."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gc
import ssl
import tracemalloc

import aiosmtplib
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from relay.app import Relay, Workplace
from relay.config import Flags, load
from relay.explain import Book, shipped_chapters
from relay.practice import start
from relay.record.log import NoLog

# The bare classes leave transports open where they are stopped or give up: collected here, not in a later test.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

_BOOK = Book.read(shipped_chapters())
_SHORT_LINES = b"a\r\n" * 220_000  # the bare library takes seconds for them
_MESSAGE = b"x" * 78 + b"\r\n"


@contextlib.asynccontextmanager
async def relay_before(upstream: tuple[str, int], *assignments: str):
    host, port = upstream
    flags = Flags(upstream=f"smtp+plain://{host}:{port}", set=("timeouts.drain=5", *assignments))
    listen = () if any(each.startswith("listen=") for each in assignments) else ("127.0.0.1:0",)
    settings = load(None, Flags(listen, flags.upstream, set=flags.set), {})
    relay = Relay(settings, _BOOK, Workplace.alone(settings, NoLog()))
    (address,) = await relay.listen()
    try:
        yield relay, int(address.rpartition(":")[2])
    finally:
        await relay.stop()


@pytest.fixture(autouse=True)
async def what_the_libraries_left():
    yield
    await asyncio.sleep(0.05)
    gc.collect()


@pytest.fixture
async def practice():
    server = await start()
    yield server.address
    await server.close()


async def say(stream, octets: bytes) -> bytes:
    reader, writer = stream
    writer.write(octets)
    await writer.drain()
    return await hear(reader)


async def hear(reader: asyncio.StreamReader) -> bytes:
    heard = b""
    async with asyncio.timeout(40):
        while line := await reader.readline():
            heard += line
            if line[3:4] != b"-":
                break
    return heard


async def in_data(port: int, **options):
    """A client that has been told to send its message."""
    stream = await asyncio.open_connection("127.0.0.1", port, **options)
    await hear(stream[0])
    for line in (b"EHLO x\r\n", b"MAIL FROM:<a@b.test>\r\n", b"RCPT TO:<c@d.test>\r\n"):
        assert (await say(stream, line)).startswith(b"250")
    assert (await say(stream, b"DATA\r\n")).startswith(b"354")
    return stream


@pytest.fixture
def certificate(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
    pem = signed.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "both.pem").write_bytes(pem + secret)
    return tmp_path / "both.pem"


async def test_a_login_is_offered_on_implicit_tls(certificate, practice):
    """S5"""
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate)
    blind = ssl.create_default_context()
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    loop = asyncio.get_running_loop()

    async def offers(port: int) -> bytes:
        stream = await asyncio.open_connection("127.0.0.1", port, ssl=blind)
        await hear(stream[0])
        told = await say(stream, b"EHLO x\r\n")
        stream[1].close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await stream[1].wait_closed()
        return told

    def bare() -> SMTP:
        return SMTP(object(), loop=loop, hostname="bare.test", authenticator=lambda *_: AuthResult(success=True))

    server = await loop.create_server(bare, "127.0.0.1", 0, ssl=server_side)
    assert b"AUTH" not in await offers(server.sockets[0].getsockname()[1])
    server.close()
    listen = f"listen=[{{address: '127.0.0.1:0', tls: implicit, certificate: {certificate}, key: {certificate}}}]"
    async with relay_before(practice, listen) as (_, port):
        assert b"AUTH PLAIN LOGIN" in await offers(port)


async def peak_of_a_message(port: int) -> int:
    """Octets of memory at the peak while a message of short lines comes in."""
    stream = await in_data(port)
    tracemalloc.start()
    try:
        for at in range(0, len(_SHORT_LINES), 30_000):
            stream[1].write(_SHORT_LINES[at : at + 30_000])
            await stream[1].drain()
        assert (await say(stream, b".\r\n")).startswith(b"250")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        stream[1].close()


class Accepting:
    async def handle_DATA(self, *_: object) -> str:  # noqa: N802 -- aiosmtpd's name
        return "250 OK"


async def draining_upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes any message and keeps nothing of it."""
    writer.write(b"220 x\r\n")
    data, tail = False, b""
    while piece := await reader.read(65536):
        if data:
            tail = (tail + piece)[-5:]
            if tail.endswith(b"\r\n.\r\n"):
                data = False
                writer.write(b"250 ok\r\n")
        elif piece.startswith(b"DATA"):
            data = True
            writer.write(b"354 go\r\n")
        else:
            writer.write(b"250 ok\r\n" * piece.count(b"\r\n"))
    writer.close()


async def test_a_message_streams_through():
    """S14"""
    loop = asyncio.get_running_loop()
    bare = await loop.create_server(lambda: SMTP(Accepting(), loop=loop, hostname="bare.test"), "127.0.0.1", 0)
    kept = await peak_of_a_message(bare.sockets[0].getsockname()[1])
    bare.close()
    assert kept > 2 * len(_SHORT_LINES)
    upstream = await asyncio.start_server(draining_upstream, "127.0.0.1", 0)
    async with relay_before(upstream.sockets[0].getsockname()) as (_, port):
        assert await peak_of_a_message(port) < len(_SHORT_LINES)
    upstream.close()


async def test_who_comes_and_goes_is_known(practice):
    """S16"""
    called = []

    class Hooks:
        async def handle_CONNECT(self, *_: object) -> None:  # noqa: N802 -- as the other hooks are named
            called.append("connect")

        async def handle_DISCONNECT(self, *_: object) -> None:  # noqa: N802
            called.append("disconnect")

    loop = asyncio.get_running_loop()
    bare = await loop.create_server(lambda: SMTP(Hooks(), loop=loop, hostname="bare.test"), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", bare.sockets[0].getsockname()[1])
    await hear(reader)
    writer.close()
    await writer.wait_closed()
    bare.close()
    assert called == []
    async with relay_before(practice) as (relay, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await hear(reader)
        assert len(relay.service.clients) == 1
        writer.close()
        async with asyncio.timeout(5):
            while relay.service.clients:  # noqa: ASYNC110 -- nothing tells of it
                await asyncio.sleep(0.01)


async def test_a_stop_lets_the_mail_in_flight_finish(practice):
    """S19"""
    controller = Controller(Accepting(), hostname="127.0.0.1", port=0)
    # Its own check after the start connects to port 0; the server itself is up by then.
    with contextlib.suppress(OSError):
        controller.start()
    stream = await in_data(controller.server.sockets[0].getsockname()[1])
    await asyncio.to_thread(controller.stop)
    with contextlib.suppress(ConnectionError):
        assert await say(stream, b"hello\r\n.\r\n") == b""
    stream[1].close()
    async with relay_before(practice) as (relay, port):
        stream = await in_data(port)
        stopping = asyncio.create_task(relay.stop())
        await asyncio.sleep(0.05)
        assert (await say(stream, b"hello\r\n.\r\n")).startswith(b"250 ")
        await stopping
        stream[1].close()


class Deaf:
    """An upstream that agrees to take a message, and then does not read until it is told to."""

    def __init__(self) -> None:
        self.heard = b""
        self.listen = asyncio.Event()
        self.done = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 deaf\r\n")
        while (line := await reader.readline()) and not line.startswith(b"DATA"):
            writer.write(b"250 ok\r\n")
        if line:
            writer.write(b"354 go\r\n")
            await self.listen.wait()
            with contextlib.suppress(ConnectionError):
                while piece := await reader.read(1 << 20):
                    self.heard += piece
            self.done.set()
        writer.close()


@pytest.fixture
async def deaf():
    deaf = Deaf()
    server = await asyncio.start_server(deaf.serve, "127.0.0.1", 0, limit=4096)
    yield deaf, server.sockets[0].getsockname()
    deaf.listen.set()
    server.close()


async def test_what_the_upstream_does_not_take_is_not_piled_up(deaf):
    """C7"""
    _, (host, port) = deaf
    client = aiosmtplib.SMTP(hostname=host, port=port, timeout=1, start_tls=False, local_hostname="x.test")
    await client.connect()
    await client.mail("a@b.test")
    await client.rcpt("c@d.test")
    sending = asyncio.create_task(client.data(_MESSAGE * 200_000))  # 16 MB
    async with asyncio.timeout(20):  # all of it is made ready first, which takes what it takes
        while client.protocol.transport.get_write_buffer_size() < 4_000_000:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0.01)
    with contextlib.suppress(aiosmtplib.SMTPException):
        await sending
    client.close()
    async with relay_before((host, port), "timeouts.upstream_data=1") as (relay, at):
        stream = await in_data(at)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                for _ in range(200):
                    stream[1].write(_MESSAGE * 1000)
                    await stream[1].drain()
        (connection,) = relay.service.pool._all
        assert connection.transport.get_write_buffer_size() < 1_000_000
        stream[1].transport.abort()


async def test_after_a_timeout_nothing_more_goes_out(deaf):
    """C16"""
    upstream, (host, port) = deaf
    client = aiosmtplib.SMTP(hostname=host, port=port, timeout=0.3, start_tls=False, local_hostname="x.test")
    await client.connect()
    await client.mail("a@b.test")
    await client.rcpt("c@d.test")
    with pytest.raises(aiosmtplib.SMTPReadTimeoutError):
        await client.data(_MESSAGE * 200_000)
    client.close()
    upstream.listen.set()
    await asyncio.wait_for(upstream.done.wait(), 5)
    assert upstream.heard.endswith(b"\r\n.\r\n")

    upstream.heard = b""
    upstream.listen.clear()
    upstream.done.clear()
    async with relay_before((host, port), "timeouts.upstream_data=0.3") as (_, at):
        stream = await in_data(at)
        stream[1].write(_MESSAGE * 200_000 + b".\r\n")
        assert (await hear(stream[0])).startswith(b"451-4.4.2 ")
        upstream.listen.set()
        await asyncio.wait_for(upstream.done.wait(), 5)
        assert not upstream.heard.endswith(b".\r\n")
        stream[1].close()


async def test_why_an_idle_connection_was_closed_is_not_lost(relay_passes):
    """C2"""

    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        await reader.readline()
        writer.write(b"250 x\r\n")
        await asyncio.sleep(0.05)
        writer.write(b"421 4.3.2 going down for maintenance\r\n")
        writer.close()

    server = await asyncio.start_server(closes, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    client = aiosmtplib.SMTP(hostname=host, port=port, timeout=1, start_tls=None, local_hostname="x.test")
    await client.connect()
    await asyncio.sleep(0.2)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
        await client.mail("a@b.test")
    assert "maintenance" not in str(caught.value)
    server.close()
    await relay_passes("idle-421-is-no-reply")
