"""The relay as a whole: builds every part from the settings, runs them, renews them on SIGHUP, stops them in order."""

from __future__ import annotations

import asyncio
import signal
import ssl
from typing import TYPE_CHECKING

import structlog

from relay.config.listener import ListenerTLS, LoginRule
from relay.config.problem import SettingsError
from relay.deadlines import Deadlines
from relay.explain import BookError
from relay.explain.book import Book
from relay.explain.shelf import shipped_chapters
from relay.proxy.server import ClientConnection
from relay.proxy.service import Listener, Rules, Service, Teller
from relay.record.journal import Journal
from relay.smtp import Phase
from relay.upstream.pool import Keeping, Pool
from relay.upstream.server import Login, Server, Waits

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.config import Settings
    from relay.config.listener import Listener as ListenerSettings

_BACKLOG = 2048


class Relay:
    """A running relay. Everything it is made of comes from `settings`."""

    def __init__(self, settings: Settings, book: Book) -> None:
        self.settings = settings
        loop = asyncio.get_running_loop()
        deadlines = Deadlines(loop)
        self._pool = Pool(server_of(settings), keeping_of(settings), deadlines)
        journal = Journal(mask_addresses=settings.log.mask_addresses)
        self.service = Service(rules_of(settings), self._pool, teller_of(settings, book), journal, deadlines)
        self._servers: list[asyncio.Server] = []

    async def listen(self) -> tuple[str, ...]:
        """Bind every listener; returns the addresses as bound.

        Raises:
            OSError: an address cannot be bound; none is left bound then.
        """
        loop = asyncio.get_running_loop()
        try:
            for settings in self.settings.listen:
                listener = listener_of(settings)

                def client(listener: Listener = listener) -> ClientConnection:
                    return ClientConnection(self.service, listener, loop)

                self._servers.append(await self._bind(settings, listener, client))
        except OSError:
            await self._close_servers()
            raise
        self._pool.warm_up()
        return tuple(_name(*sock.getsockname()[:2]) for server in self._servers for sock in server.sockets)

    def renew(self, settings: Settings, book: Book) -> None:
        """Take over new settings and a new book; listeners, log and workers stay as they are until a restart."""
        old, self._pool = self._pool, Pool(server_of(settings), keeping_of(settings), self.service.deadlines)
        self.service.rules = rules_of(settings)
        self.service.pool = self._pool
        self.service.teller = teller_of(settings, book)
        self.service.journal = Journal(mask_addresses=settings.log.mask_addresses)
        self.settings = settings
        self._pool.warm_up()
        old.close()

    async def stop(self) -> None:
        """Stop accepting, let the mail in flight finish within `timeouts.drain`, take leave of everybody."""
        self.service.draining = True
        await self._close_servers()
        for client in tuple(self.service.clients):
            client.drain()
        deadline = asyncio.get_running_loop().time() + self.settings.timeouts.drain
        while self.service.clients and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 -- only here
            await asyncio.sleep(0.02)
        for client in tuple(self.service.clients):
            client.cut()
        self._pool.close()
        await self._pool.wait_closed()

    async def _bind(
        self, settings: ListenerSettings, listener: Listener, client: Callable[[], ClientConnection]
    ) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            client,
            settings.address.host,
            settings.address.port,
            ssl=listener.tls if listener.implicit_tls else None,
            ssl_handshake_timeout=self.settings.timeouts.client_tls if listener.implicit_tls else None,
            backlog=_BACKLOG,
        )

    async def _close_servers(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()


async def serve(settings: Settings, reload: Callable[[], Settings], ready: Callable[[tuple[str, ...]], None]) -> None:
    """Run the relay until SIGTERM or SIGINT; SIGHUP calls `reload` and takes over what it returns.

    Raises:
        OSError: an address cannot be bound.
        BookError: the book holds mistakes.
    """
    loop = asyncio.get_running_loop()
    log = structlog.get_logger()
    relay = Relay(settings, read_book(settings))
    stopped = asyncio.Event()

    def renew() -> None:
        try:
            fresh = reload()
            relay.renew(fresh, read_book(fresh))
        except (SettingsError, BookError, ValueError, OSError) as error:  # the old ones stay in force
            log.error("reload_refused", why=str(error))  # noqa: TRY400 -- the words are complete, a traceback adds none
        else:
            log.info("reloaded")

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, renew)
    ready(await relay.listen())
    await stopped.wait()
    log.info("relay_stopping")
    await relay.stop()
    log.info("relay_stopped")


def read_book(settings: Settings) -> Book:
    """The shipped chapters, behind the operator's own."""
    return Book.read(*filter(None, (settings.book.house,)), shipped_chapters())


# -- from the operator's words to those of each part


def server_of(settings: Settings) -> Server:
    """The upstream, as the part that talks to it wants to know it."""
    upstream, timeouts = settings.upstream, settings.timeouts
    url, login, tls = upstream.url, upstream.login, upstream.tls
    if url is None:
        raise ValueError("upstream.url is not set")
    return Server(
        host=url.host,
        port=url.port,
        security=url.security,
        waits=Waits(
            timeouts.upstream_connect, timeouts.upstream_tls, {phase: timeouts.reply_seconds(phase) for phase in Phase}
        ),
        login=Login(login.user, login.password.get_secret_value(), upstream.login_mechanism) if login else None,
        ehlo_name=upstream.ehlo_name or (settings.hostname if "." in settings.hostname else None),
        source_address=upstream.source_address,
        ca_file=_path(tls.ca_file),
        certificate=_path(tls.certificate),
        key=_path(tls.key),
        tls_name=tls.server_name,
    )


def keeping_of(settings: Settings) -> Keeping:
    """How idle upstream connections are kept."""
    pool = settings.upstream.pool
    return Keeping(pool.idle, pool.idle_seconds, pool.messages_per_connection, pool.warm)


def rules_of(settings: Settings) -> Rules:
    """What a conversation obeys."""
    limits, timeouts = settings.limits, settings.timeouts
    return Rules(
        hostname=settings.hostname,
        message_size=limits.message_size,
        connections=limits.connections,
        connections_per_address=limits.connections_per_address,
        recipients=limits.recipients,
        errors=limits.errors,
        login_failures=limits.login_failures,
        command_line=limits.command_line,
        auth_line=limits.auth_line,
        data_rate=limits.data_rate,
        client_idle=timeouts.client_idle,
        client_data=timeouts.client_data,
        client_tls=timeouts.client_tls,
        proxy_header=timeouts.proxy_header,
        normalize_newlines=settings.message.bare_newline == "normalize",
        explain_login_at_mail=settings.reply.explain_login_at == "mail",
    )


def teller_of(settings: Settings, book: Book) -> Teller:
    """Who puts refusals into words."""
    return Teller(book, settings.reply.style)


def listener_of(settings: ListenerSettings) -> Listener:
    """One door.

    Raises:
        OSError, ssl.SSLError: certificate or key cannot be used.
    """
    logins = [rule for rule in settings.allow if isinstance(rule, LoginRule)]
    names = [rule.name for rule in logins]
    return Listener(
        tls=_server_tls(settings),
        implicit_tls=settings.tls is ListenerTLS.IMPLICIT,
        tls_required=settings.tls is ListenerTLS.STARTTLS_REQUIRED,
        networks=tuple(rule for rule in settings.allow if not isinstance(rule, LoginRule)),
        login=bool(logins),
        users=frozenset() if None in names else frozenset(name.lower() for name in names if name),
        proxies=settings.proxy_protocol,
    )


def _server_tls(settings: ListenerSettings) -> ssl.SSLContext | None:
    if settings.tls is ListenerTLS.NONE or settings.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.certificate, settings.key)
    return context


def _path(path: object) -> str | None:
    return str(path) if path is not None else None


def _name(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
