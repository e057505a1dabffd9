"""The relay's own small site: metrics for Prometheus, and whether it lives and serves. Home of the web libraries."""

from __future__ import annotations

import asyncio
import ipaddress
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from relay.sockets import bind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

    from prometheus_client.metrics_core import Metric
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from relay.config.settings import Web
    from relay.record.counters import Counters

_HELP = {
    "messages": "Messages that the upstream has taken.",
    "octets": "Octets of the messages that the upstream has taken.",
    "connections": "Clients that have connected.",
    "clients": "Clients that are connected now.",
    "kept": "Messages that were accepted for the spool, as a whole or in part.",
    "spool": "What became of letters of the spool, try by try.",
    "failures": "Refusals that were explained, by reason, phase of the dialogue, and class of the code.",
    "faults": "Failures no upstream put into words: trouble on the way to it, and the relay's own limits.",
}
_LABELS = {"failures": ("reason", "phase", "class"), "faults": ("fault",), "spool": ("outcome",)}
_GAUGES = ("clients",)
_GRACE_SECONDS = 2  # for whoever is being answered when the relay ends
_GUESTS = 50  # connections at once, each for so many seconds: those of mail need the descriptors
_GUEST_SECONDS = 30.0
_FIRST_REQUEST_SECONDS = 5.0  # as long as the library waits for a further one


@asynccontextmanager
async def site(web: Web, counters: Counters, serves: Callable[[], bool]) -> AsyncIterator[None]:
    """Serve the site while the context lasts.

    Args:
        web: where it listens, and under which names it is asked for.
        counters: what it shows.
        serves: whether the relay takes mail now.

    Raises:
        OSError: the address cannot be bound.
    """
    ((sockets,),) = bind([web.listen]) if web.listen is not None else (((),),)
    config = uvicorn.Config(
        _OnlyKnownHosts(pages(counters, serves), web.hosts),
        http=_Guest,
        ws="none",
        log_config=None,
        log_level="error",  # its warnings are of what a client did wrong, and who asks nonsense would fill the log
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=list(sockets)))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def pages(counters: Counters, serves: Callable[[], bool]) -> Starlette:
    """The site as an application."""
    registry = CollectorRegistry()
    registry.register(_Collector(counters))

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def livez(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        return PlainTextResponse("ok\n") if serves() else PlainTextResponse("shutting down\n", 503)

    return Starlette(routes=[Route("/metrics", metrics), Route("/livez", livez), Route("/readyz", readyz)])


class _Collector:
    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        families = {}
        for (name, *labels), value in self._counters.totals():
            kind = GaugeMetricFamily if name in _GAUGES else CounterMetricFamily
            if name not in families:
                families[name] = kind(f"relay_{name}", _HELP[name], labels=_LABELS.get(name, ()))
            if value or not labels:  # of hundreds of combinations few ever happen
                families[name].add_metric(labels, value)
        yield from families.values()


class _Guest(H11Protocol):
    """One connection to the site. The library itself waits for a first request without end."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it in, for a while; if too many are here, another leaves for it."""
        super().connection_made(transport)
        self._came = self.loop.time()
        self._ends = (
            self.loop.call_later(_FIRST_REQUEST_SECONDS, self._leave_if_silent),
            self.loop.call_later(_GUEST_SECONDS, transport.abort),
        )
        others = [guest for guest in self.connections - {self} if isinstance(guest, _Guest)]
        if len(others) >= _GUESTS:
            min(others, key=_Guest._worth).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has left."""
        for end in self._ends:
            end.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; behind a request that is answered already there is nothing more to say."""
        cycle = self.cycle
        if cycle is not None:
            cycle.disconnected = True  # or it would be answered twice
        if cycle is not None and cycle.response_started:
            self.transport.close()
        else:
            super().send_400_response(msg)

    def _leave_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.abort()

    def _worth(self) -> tuple[bool, float]:
        """Who is being answered is worth more than who has not asked, and who came later more than who came before."""
        return self.cycle is not None and not self.cycle.response_complete, self._came


class _OnlyKnownHosts:
    """Answers only who asks for a host by its IP address or a known name (a foreign name is DNS rebinding)."""

    def __init__(self, app: ASGIApp, names: tuple[str, ...]) -> None:
        self._app = app
        self._names = {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = dict(scope.get("headers", ())).get(b"host", b"").decode("latin-1")
        app = self._app if self._knows(host) else PlainTextResponse("unknown host; see web.hosts\n", 421)
        await app(scope, receive, send)

    def _knows(self, host: str) -> bool:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return name.lower() in self._names
        return True


class _Server(uvicorn.Server):
    """Leaves the signals to the relay."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
