"""W4: what sessions cost that wait, in memory: after EHLO, and in the middle of a message."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks.figures import IdleCost
from benchmarks.generators import LoadError
from benchmarks.process_tree import memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.peers import Target

_REPLY_SECONDS = 30
_SETTLE_SECONDS = 1.0
_PIECE = b"Subject: slow\r\n\r\n" + (b"x" * 78 + b"\r\n") * 51  # 4 KiB


def measure(target: Target, count: int) -> IdleCost:
    """Hold so many sessions.

    Raises:
        LoadError: not all of them get the replies they should.
    """
    assert target.pid
    try:
        return _measure(target, target.pid, count)
    except OSError as error:
        raise LoadError(f"a session of {count} broke off: {error}") from None


def _measure(target: Target, pid: int, count: int) -> IdleCost:
    with socket.create_connection(("127.0.0.1", target.port), _REPLY_SECONDS) as first:
        _dialogue([first], (b"", b"EHLO client.example.com\r\n", b"QUIT\r\n"))
    time.sleep(_SETTLE_SECONDS)
    before = memory(pid)
    with ExitStack() as stack:
        held = [
            stack.enter_context(socket.create_connection(("127.0.0.1", target.port), _REPLY_SECONDS))
            for _ in range(count)
        ]
        _dialogue(held, (b"", b"EHLO client.example.com\r\n"))
        time.sleep(_SETTLE_SECONDS)
        greeted = memory(pid)
        _dialogue(held, (b"MAIL FROM:<sender@example.com>\r\n", b"RCPT TO:<rcpt@example.com>\r\n", b"DATA\r\n"))
        for connection in held:
            connection.sendall(_PIECE)
        time.sleep(_SETTLE_SECONDS)
        in_message = memory(pid)
        _dialogue(held, (b"\r\n.\r\n",))
    return IdleCost(
        way=target.name,
        sessions=count,
        greeted_kib=(greeted.pss - before.pss) * 1024 / count,
        in_message_kib=(in_message.pss - before.pss) * 1024 / count,
        greeted_rss_mib=greeted.rss,
    )


def _dialogue(connections: Sequence[socket.socket], lines: Sequence[bytes]) -> None:
    """Say each line on all connections, then hear the reply on all; b"" only hears."""
    for line in lines:
        for connection in connections:
            connection.sendall(line)
        for connection in connections:
            _hear(connection, line)


def _hear(connection: socket.socket, line: bytes) -> None:
    heard = b""
    while not _whole(heard):
        if not (piece := connection.recv(4096)):
            raise LoadError(f"the connection was closed instead of a reply to {line.decode().strip() or 'nothing'}")
        heard += piece
    if heard[:1] not in (b"2", b"3"):
        raise LoadError(f"{line.decode().strip() or 'the connection'} was answered {heard[:200].decode()!r}")


def _whole(heard: bytes) -> bool:
    return heard.endswith(b"\r\n") and heard.splitlines()[-1][3:4] != b"-"
