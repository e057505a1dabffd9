"""The sockets of the listeners: bound before anything else begins, one set for each process that accepts from them."""

from __future__ import annotations

import math
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relay.config.listener import Address

BACKLOG = 2048  # clients that may wait to be accepted
_ACCEPTS_A_ROUND = 8
_OTHER_FILES = 250  # sockets that listen, log, database, web page, and the clients that are told there is no place

Sockets = tuple[tuple[socket.socket, ...], ...]  # for each listener, in the order of the settings


def bind(addresses: Iterable[Address], processes: int = 1) -> tuple[Sockets, ...]:
    """Listen on every address, with a socket of its own for each process.

    The kernel shares new clients out among the sockets of one address (SO_REUSEPORT, socket(7)). Whoever made them
    keeps them open, so a client that waits in the queue of a process that has died is served by the one that follows.

    Raises:
        OSError: an address cannot be bound, its text says which; none is left bound then.
    """
    opened: list[list[list[socket.socket]]] = []
    try:
        for address in addresses:
            opened.append([[] for _ in range(processes)])
            for family, target in _resolved(address):
                for made, sock in zip(opened[-1], _bound(family, target, processes), strict=True):
                    made.append(sock)
    except OSError as error:
        for sock in (sock for listener in opened for made in listener for sock in made):
            sock.close()
        raise OSError(error.errno, f"{address}: {error.strerror or error}") from None
    return tuple(tuple(tuple(listener[number]) for listener in opened) for number in range(processes))


def make_room() -> None:
    """Let this process open as many files as the system lets it.

    What a process may open is 1,024 on most systems until it asks for more, which `limits.connections` alone exceeds.
    """
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit; macOS names one it does not grant
        import resource  # noqa: PLC0415 -- see above

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def room() -> float:
    """How many clients this process has files for: each has a connection here and one to the upstream.

    Beyond it the system refuses clients without a word.
    """
    try:
        import resource  # noqa: PLC0415 -- Windows has none

        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    except ImportError:
        return math.inf
    if files == resource.RLIM_INFINITY:
        return math.inf
    return (files - min(_OTHER_FILES, files // 2)) // 2


def acceptors(sock: socket.socket) -> tuple[socket.socket, ...]:
    """The socket and more handles of it, for a loop to accept from each.

    uvloop accepts one client from each handle in a round; where all that is done in a round takes long, because many
    clients keep it busy, those that wait for their greeting would wait for as many rounds as there are of them.
    """
    return (sock, *(sock.dup() for _ in range(_ACCEPTS_A_ROUND - 1)))


def name_of(sock: socket.socket) -> str:
    """The address a socket is bound to, as people write it."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _resolved(address: Address) -> Iterator[tuple[socket.AddressFamily, tuple[str, int]]]:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, target in dict.fromkeys(found):
        yield family, (str(target[0]), int(target[1]))


def _bound(family: socket.AddressFamily, target: tuple[str, int], processes: int) -> Iterator[socket.socket]:
    if processes == 1:
        yield _listening(family, target, shared=False)
        return
    # Shared sockets would let a second relay in by mistake, without an error: so look first whether it is free.
    probe = _listening(family, target, shared=False)
    target = (target[0], probe.getsockname()[1])
    probe.close()
    for _ in range(processes):
        yield _listening(family, target, shared=True)


def silent_twin(sock: socket.socket) -> socket.socket:
    """Another shared socket of the same address, which does not listen until somebody begins to accept from it.

    Raises:
        OSError: there can be none.
    """
    return _bound_to(sock.family, sock.getsockname()[:2], shared=True)


def _listening(family: socket.AddressFamily, target: tuple[str, int], *, shared: bool) -> socket.socket:
    sock = _bound_to(family, target, shared=shared)
    try:
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _bound_to(family: int, target: tuple[str, int], *, shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:  # else "[::]" would take the IPv4 address as well
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(target)
    except OSError:
        sock.close()
        raise
    return sock
