"""From the operator's words to those of each part: what it is told of the settings, and nothing else."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from relay import kept
from relay.config.listener import ListenerTLS, LoginRule
from relay.explain.shelf import shipped_chapters
from relay.proxy.service import Listener, Rules, Teller
from relay.smtp import Phase
from relay.sockets import room
from relay.upstream.pool import Keeping
from relay.upstream.server import Login, Server, Waits

if TYPE_CHECKING:
    from pathlib import Path

    from relay.config import Settings
    from relay.config.listener import Listener as ListenerSettings
    from relay.explain.book import Book


def read_book(settings: Settings) -> Book:
    """The shipped chapters, behind the operator's own, in the language of the settings."""
    return kept.read_book(*book_places(settings), language=settings.reply.language)


def book_places(settings: Settings) -> tuple[Path, ...]:
    """Where the chapters are."""
    house = settings.book.house
    return (house, shipped_chapters()) if house else (shipped_chapters(),)


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
        room=room(),
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
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except OSError as error:  # which names no file; ssl.SSLError is one, too
        files = " with ".join(str(each) for each in (settings.certificate, settings.key) if each is not None)
        raise OSError(error.errno, f"{files}: {error.strerror or error}") from None
    return context


def _path(path: object) -> str | None:
    return str(path) if path is not None else None
