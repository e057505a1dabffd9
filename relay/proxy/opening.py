"""Before the words of SMTP, and between them: the PROXY header of a load balancer, and the TLS handshake."""

from __future__ import annotations

import asyncio
import ssl
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, cast

from aiosmtpd.proxy_protocol import V2_CMD, get_proxy

from relay.networks import written
from relay.seam import hand_up
from relay.smtp import Fault, Phase

if TYPE_CHECKING:
    from aiosmtpd.proxy_protocol import ProxyData

    from relay.proxy.server import ClientConnection


async def read_proxy_header(client: ClientConnection) -> None:
    """Learn from a trusted peer who the client really is (PROXY protocol, versions 1 and 2), then let it in."""
    reader = asyncio.StreamReader()

    def feed(octets: bytes) -> bytes:
        reader.feed_data(octets)
        return b""

    client.take_octets(feed)
    header = await _header(reader, client.service.rules.proxy_header)
    client.take_lines()
    client.go_on()
    if client.closing:
        return
    if header is None or not header.valid:
        what = "no PROXY header came from a peer that must send one"
        client.turn_away(Fault.NOT_SMTP, what, Phase.CONNECT)
        return
    # LOCAL: a health check of the balancer itself. Of a client with no IP address, a file's name is no name for it.
    if isinstance(header.src_addr, IPv4Address | IPv6Address) and header.command != V2_CMD.LOCAL:
        client.address = written(str(header.src_addr))
    reader.feed_eof()
    client.arrive(await reader.read())  # what the client has said behind the header


async def _header(reader: asyncio.StreamReader, seconds: float) -> ProxyData | None:
    try:
        async with asyncio.timeout(seconds):
            return await get_proxy(reader)
    except TimeoutError:
        return None


async def shake_hands(client: ClientConnection, context: ssl.SSLContext) -> None:
    """Encrypt the connection to the client; where that fails nothing can be said to it any more."""
    plain = client.transport
    if plain is None:
        return
    loop, seconds = asyncio.get_running_loop(), client.service.rules.client_tls
    handshake = loop.create_task(
        loop.start_tls(plain, client, context, server_side=True, ssl_handshake_timeout=seconds)
    )
    for _ in range(2):  # rounds of the loop: in one the handshake takes the connection over, in one it is told so
        await asyncio.sleep(0)
    if not plain.is_closing():
        hand_up(client.said_for_tls(), cast("asyncio.BufferedProtocol", plain.get_protocol()))
    try:
        encrypted = await handshake
    except (OSError, RuntimeError, ssl.SSLError):  # uvloop's RuntimeError: the client is gone already
        encrypted = None
    if encrypted is None or encrypted.is_closing() or client.transport is None:
        plain.abort()
        client.connection_lost(None)  # nobody else tells it where the connection broke within the handshake
    else:
        client.encrypted_by(encrypted)
