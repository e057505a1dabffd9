"""From nothing to a connection that takes mail: name, connect, greeting, EHLO, TLS, the relay's own login.

Each step either goes on or yields the Reply that ends the attempt: the upstream's own, or that of a Fault.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from relay.config.url import Security
from relay.networks import is_loopback
from relay.seam import Seam
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.smtp.capabilities import NOTHING, Capabilities
from relay.upstream.connection import Connection
from relay.upstream.faults import connect_fault, seen, tls_fault
from relay.upstream.login import log_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.deadlines import Deadlines
    from relay.upstream.names import Address
    from relay.upstream.server import Server

Step = Callable[[Connection], Awaitable[Reply | None]]

# Attempts that came not far, the least first. A machine without IPv6 reaches half of the addresses of many servers.
_NOT_FAR = (Fault.DNS, Fault.UNREACHABLE, Fault.CONNECT_TIMEOUT, Fault.REFUSED)
_MAX_SESSIONS = 2  # that one mail begins, where the server refuses them: it may be busy
_HEARING_ROUNDS = 3  # of the loop, until what makes a socket readable is known
_SUBMISSIONS_PORT = 465  # TLS from the first octet (RFC 8314): silence there means the server waits for our handshake


async def dial(server: Server, deadlines: Deadlines) -> Connection | Reply:
    """Open a connection that is ready for MAIL (or, without a login of the relay's own, for the client's AUTH)."""
    return await _first(server, deadlines, _introduced)


async def connect(server: Server, deadlines: Deadlines) -> Connection | Reply:
    """Look the name up and connect; with implicit TLS, shake hands too."""
    return await _first(server, deadlines, _as_it_is)


async def _first(server: Server, deadlines: Deadlines, accept: Step) -> Connection | Reply:
    """The first connection, to each address in turn, that `accept` has nothing against (RFC 5321 section 5.1).

    Together they have as long as one; what is left of it is shared among those that are still to be tried, so that one
    that never answers hides no other.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(server.waits.connect):
            found = tuple(await server.names.find(server.host, server.port))
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be one
        fault = connect_fault(error) if isinstance(error, OSError) else Fault.DNS
        return reply_for(Fault.DNS_TEMPORARY if isinstance(error, TimeoutError) else fault, Phase.CONNECT, server.name)
    furthest = reply_for(Fault.DNS, Phase.CONNECT, server.name)
    end, sessions = loop.time() + server.waits.connect, 0
    for tried, address in enumerate(found):
        seconds = (end - loop.time()) / (len(found) - tried)
        if seconds <= 0 or sessions == _MAX_SESSIONS:
            break
        attempt = await _attempt(server, deadlines, address, seconds)
        if isinstance(attempt, Connection):
            sessions += 1
            refusal = await accept(attempt)
            if refusal is None:
                server.names.reached(address)
                return attempt
            if refusal.phase is Phase.AUTH:  # a wrong password is wrong everywhere, and each try brings a lock nearer
                return refusal
            attempt = refusal
        furthest = max(furthest, attempt, key=_way)
    return furthest


async def _introduced(connection: Connection) -> Reply | None:
    try:
        refusal = await introduce(connection)
    except asyncio.CancelledError:
        connection.abort()
        raise
    if refusal is not None:
        connection.quit()
    return refusal


async def _as_it_is(_: Connection) -> Reply | None:
    return None


def _way(attempt: Reply) -> tuple[int, bool]:
    """How far it came. What was seen further on is the trouble; that another address cannot be reached is none.

    Of two that came as far that one is told which may pass.
    """
    return (_NOT_FAR.index(attempt.fault) if attempt.fault in _NOT_FAR else len(_NOT_FAR)), attempt.transient


async def _attempt(server: Server, deadlines: Deadlines, address: Address, seconds: float) -> Connection | Reply:
    loop = asyncio.get_running_loop()
    connection = Connection(server, deadlines, loop)
    source = (server.source_address, 0) if server.source_address else None
    try:
        async with asyncio.timeout(seconds):
            await loop.create_connection(lambda: connection, *address, local_addr=source)
    except OSError as error:
        return _failed(connect_fault(error), Phase.CONNECT, server, error)
    if server.security is Security.IMPLICIT:
        return await encrypt(connection, Phase.CONNECT) or connection
    return connection


async def encrypt(connection: Connection, phase: Phase) -> Reply | None:
    """Shake hands over TLS; None when it succeeded, else the Fault's reply, the connection being cut."""
    server = connection.server
    if connection.dead:
        return connection.why_dead(phase)
    if connection.greeting.done() and phase is Phase.CONNECT:  # plain text before the handshake
        connection.abort()
        return reply_for(Fault.TLS_WRONG_PORT, phase, server.name)
    try:
        context = server.tls_context
        tcp = cast("asyncio.Transport", connection.transport)
        connection.begin_tls()
        transport = await asyncio.get_running_loop().start_tls(
            tcp,
            connection,
            context,
            server_hostname=server.tls_name or server.host,
            ssl_handshake_timeout=server.waits.tls,
        )
    except (
        OSError,
        ssl.SSLError,
    ) as error:  # asyncio reports a handshake that takes too long as ConnectionAbortedError
        connection.abort()
        return _failed(tls_fault(error), phase, server, error)
    if transport is None:  # the peer left in the middle of the handshake
        connection.abort()
        return reply_for(Fault.TLS, phase, server.name)
    tcp.set_protocol(Seam(cast("asyncio.BufferedProtocol", tcp.get_protocol()), connection.last_words))
    connection.use_tls(transport)
    return None


async def introduce(connection: Connection) -> Reply | None:
    """Take every step after connecting; None when all went well, else the reply that ends it."""
    for _, step in steps(connection.server):
        refusal = await step(connection)
        if refusal is not None:
            return refusal
    return None


def steps(server: Server) -> Iterator[tuple[str, Step]]:
    """What is to be done on a new connection before it takes mail, each step with its name for people."""
    yield "greeting", _greeted
    yield "EHLO", _say_ehlo
    if server.security is Security.STARTTLS:
        yield "STARTTLS", _start_tls
    login = server.login
    if login is not None:
        yield "login", lambda connection: log_in(connection, login)


async def _greeted(connection: Connection) -> Reply | None:
    server = connection.server
    greeting = await connection.greeting
    if greeting.fault is Fault.TIMEOUT and server.port == _SUBMISSIONS_PORT and not connection.secure:
        return reply_for(Fault.TLS_WRONG_PORT, Phase.CONNECT, server.name)
    return None if greeting.ok else greeting


async def _say_ehlo(connection: Connection) -> Reply | None:
    name = connection.server.ehlo_name or _address_literal(connection)
    reply = await connection.ask(b"EHLO " + name.encode("ascii", "replace"), Phase.EHLO)
    if reply.ok:
        connection.capabilities = Capabilities.of_ehlo(reply.lines)
        return None
    if reply.permanent and not connection.dead:  # an old server may know HELO only (RFC 5321 section 3.2)
        again = await connection.ask(b"HELO " + name.encode("ascii", "replace"), Phase.EHLO)
        return None if again.ok else again if again.transient else reply
    return reply


async def _start_tls(connection: Connection) -> Reply | None:
    server = connection.server
    if b"STARTTLS" not in connection.capabilities:
        if is_loopback(server.host):
            return None
        return reply_for(Fault.TLS_NOT_OFFERED, Phase.STARTTLS, server.name)
    reply = await connection.ask(b"STARTTLS", Phase.STARTTLS)
    if not reply.ok:
        return reply
    for _ in range(_HEARING_ROUNDS):  # what came with the 220, be it the end of the connection, is read first
        await asyncio.sleep(0)
        if connection.silent():
            refusal = await encrypt(connection, Phase.STARTTLS)
            connection.capabilities = NOTHING  # anybody on the way may have written them (RFC 3207 section 4.2)
            return refusal or await _say_ehlo(connection)
        if connection.dead and (end := connection.why_dead(Phase.STARTTLS)).fault is not Fault.GARBLED:
            return end
    connection.abort()  # octets behind the 220 were not said under encryption (RFC 3207 section 6)
    return reply_for(Fault.GARBLED, Phase.STARTTLS, server.name, f"{server.name} sent octets before the TLS handshake")


def _address_literal(connection: Connection) -> str:
    """Our own address in brackets: the name of a host that has no name (RFC 5321 section 4.1.3)."""
    address = (
        str(connection.transport.get_extra_info("sockname")[0]) if connection.transport is not None else "127.0.0.1"
    )
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _failed(fault: Fault, phase: Phase, server: Server, error: Exception) -> Reply:
    reply = reply_for(fault, phase, server.name)
    text = reply.lines[0] + f" ({seen(error)})".encode("utf-8", "replace")
    return Reply(phase, reply.code, (text,), fault)
