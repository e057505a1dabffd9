"""Start and stop the practice upstream, on the running loop and on loopback only."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING, Any

from relay.practice.conversation import Conversation
from relay.practice.desk import Desk
from relay.practice.scenarios import all_scenarios

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


class PracticeServer:
    """A practice upstream that is listening."""

    def __init__(self, server: asyncio.Server, desk: Desk) -> None:
        self._server = server
        self._desk = desk
        host, port = server.sockets[0].getsockname()[:2]
        self.address: tuple[str, int] = (host, port)

    @property
    def accepted(self) -> int:
        """How many messages were accepted (and discarded) so far."""
        return self._desk.accepted

    async def close(self) -> None:
        """Stop listening, close every connection, and wait until the last one is gone."""
        self._server.close()
        while conversations := tuple(self._desk.conversations):
            for conversation in conversations:
                conversation.break_off()
            await asyncio.sleep(0)  # the loop tells a connection that it is lost in its next round
        await self._server.wait_closed()


async def start(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    sock: socket.socket | None = None,
    report: Callable[[str], None] = lambda _: None,
    slow_seconds: float = 15.0,
) -> PracticeServer:
    """Start a practice upstream on the running loop.

    Args:
        host: an address of this machine's loopback, or "localhost".
        port: 0 lets the system choose; `PracticeServer.address` tells which.
        sock: a socket that is bound already, in place of host and port.
        report: is called with one line of text for each scenario played and each message accepted.
        slow_seconds: how long `slow-reply` waits before it answers.

    Raises:
        ValueError: the host is not loopback; a server that believes every password must not be reached from outside.
        OSError: the address is in use or cannot be listened on.
    """
    if not _is_loopback(host):
        raise ValueError(
            f"{host!r} is not loopback (127.0.0.1, ::1 or localhost), and this server believes every password"
        )
    all_scenarios()  # read now, so that no conversation has to wait for the disk
    desk = Desk(report, slow_seconds)
    where: dict[str, Any] = {"host": host, "port": port} if sock is None else {"sock": sock}
    server = await asyncio.get_running_loop().create_server(lambda: Conversation(desk), **where)
    return PracticeServer(server, desk)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
