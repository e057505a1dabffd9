"""The relay's own site: what is counted is shown, and only to who asks for a host that it knows."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from relay.config.settings import Web
from relay.explain import Reason
from relay.record import site as site_module
from relay.record.counters import CLIENTS, MESSAGES, Counters
from relay.record.site import pages, site
from relay.smtp import Fault, Phase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


async def ask(app, path: str, host: str = "127.0.0.1:8025") -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://relay") as client:
        return await client.get(path, headers={"Host": host})


def samples(text: str) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(text)
    return {
        (each.name, *(value for _, value in sorted(each.labels.items()))): each.value
        for family in families
        for each in family.samples
    }


async def test_metrics_add_up_what_each_process_has_counted():
    counters = Counters(2)
    for number in range(2):
        row = counters.row(number)
        row.add(MESSAGES, 5)
        row.set(CLIENTS, number + 1)
        row.failure(Reason.MAILBOXFULL, Phase.RCPT, 452)
        row.failure(Reason.UNDEFINED, None, 500)
        row.fault(Fault.TOO_MANY_CONNECTIONS)
    answer = await ask(pages(counters, lambda: True), "/metrics")
    found = samples(answer.text)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert found["relay_messages_total",] == 10
    assert found["relay_clients",] == 3
    assert found["relay_failures_total", "4xx", "rcpt", "mailboxfull"] == 2
    assert found["relay_failures_total", "5xx", "", "undefined"] == 2
    assert found["relay_faults_total", "too-many-connections"] == 2
    assert found["relay_octets_total",] == 0  # what never happened is 0, not missing
    assert not any("greylisted" in key for key in found)


async def test_health():
    serves = [True]
    app = pages(Counters(), lambda: serves[0])
    assert (await ask(app, "/livez")).status_code == (await ask(app, "/readyz")).status_code == 200
    serves[0] = False
    assert (await ask(app, "/readyz")).status_code == 503
    assert (await ask(app, "/livez")).status_code == 200
    assert (await ask(app, "/elsewhere")).status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8025", 200),
        ("[::1]:8025", 200),
        ("10.2.3.4", 200),
        ("localhost:8025", 200),
        ("Relay.Example.COM:8025", 200),
        ("rebound.example:8025", 421),
        ("", 421),
    ],
)
async def test_a_foreign_name_is_not_answered(host, status):
    web = Web(listen="127.0.0.1:0", hosts=("relay.example.com",))
    port = free_port()
    web = Web(listen=f"127.0.0.1:{port}", hosts=web.hosts)
    async with site(web, Counters(), lambda: True), httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/livez", headers={"Host": host})
    assert answer.status_code == status


@asynccontextmanager
async def half_a_request(port: int) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: local")
    yield reader
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_who_asks_only_half_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(site_module, "_FIRST_REQUEST_SECONDS", 0.1)
    port = free_port()
    served = site(Web(listen=f"127.0.0.1:{port}"), Counters(), lambda: True)
    async with served, asyncio.timeout(5), half_a_request(port) as reader:
        with suppress(ConnectionResetError):
            assert await reader.read() == b""


async def test_nobody_stays_for_long(monkeypatch):
    monkeypatch.setattr(site_module, "_GUEST_SECONDS", 0.5)
    port = free_port()
    served = site(Web(listen=f"127.0.0.1:{port}"), Counters(), lambda: True)
    async with served, asyncio.timeout(4):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with suppress(ConnectionResetError):
            assert (await reader.read()).endswith(b"ok\n")
        writer.close()


async def test_for_one_too_many_the_oldest_that_has_not_asked_leaves(monkeypatch):
    monkeypatch.setattr(site_module, "_GUESTS", 3)
    port = free_port()
    served = site(Web(listen=f"127.0.0.1:{port}"), Counters(), lambda: True)
    async with served, asyncio.timeout(5), AsyncExitStack() as guests:
        held = [await guests.enter_async_context(half_a_request(port)) for _ in range(3)]
        for _ in range(2):
            async with httpx.AsyncClient() as client:
                assert (await client.get(f"http://127.0.0.1:{port}/livez")).status_code == 200
        with suppress(ConnectionResetError):
            assert await held[0].read() == b""
        assert not any(reader.at_eof() for reader in held[2:])


async def test_who_is_being_answered_stays_longer_than_who_has_not_asked(monkeypatch):
    """The answers to many requests at once are more than a client takes that does not read."""
    monkeypatch.setattr(site_module, "_GUESTS", 2)
    port = free_port()
    served = site(Web(listen=f"127.0.0.1:{port}"), Counters(), lambda: True)
    async with served, asyncio.timeout(10), AsyncExitStack() as guests:
        busy, writer = await asyncio.open_connection("127.0.0.1", port)
        asked = 3000
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * asked)
        await asyncio.sleep(0.5)
        silent = await guests.enter_async_context(half_a_request(port))
        await guests.enter_async_context(half_a_request(port))
        with suppress(ConnectionResetError):
            assert await silent.read() == b""
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await busy.read()).count(b"HTTP/1.1 200 OK") == asked + 1
        writer.close()


_HEAD = b"POST /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
_UPGRADE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b"EHLO mail\r\n\r\n"], 400),
        ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 421),
        ([_HEAD + b"ZZ\r\n"], 400),
        ([_HEAD, b"ZZ\r\n"], 405),
        ([b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nEHLO mail\r\n\r\n"], 200),
        ([_UPGRADE], 200),
    ],
)
async def test_what_a_client_does_wrong_fills_no_log(pieces, status, caplog):
    port = free_port()
    async with site(Web(listen=f"127.0.0.1:{port}"), Counters(), lambda: True), asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.2)
        assert (await reader.read()).startswith(b"HTTP/1.1 %d " % status)
        writer.close()
    assert not caplog.records


async def test_our_own_mistakes_are_told(caplog):
    port = free_port()

    def fails() -> bool:
        raise RuntimeError("a bug")

    async with site(Web(listen=f"127.0.0.1:{port}"), Counters(), fails), httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 500
    assert "a bug" in caplog.text
