"""Who is speaking: a provider or server software recognised by the upstream's host name, or by words only it uses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from relay.explain.patterns import found_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relay.explain.page import When


@dataclass(frozen=True, slots=True)
class Server:
    """One provider: the domains of its hosts, and patterns (RE2) of words that only its replies hold."""

    name: str
    hosts: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


class Servers:
    """The servers the book knows by name."""

    def __init__(self, servers: Iterable[Server]) -> None:
        self._by_name = {server.name: server for server in servers}

    def fit(self, when: When, upstream: str | None, text: str) -> bool:
        """Whether the upstream is one the page asks for (a page that asks for none fits every upstream)."""
        host = (upstream or "").partition(":")[0].rstrip(".").lower()
        if when.upstream and not any(found_in(pattern, host) for pattern in when.upstream):
            return False
        return not when.server or any(_speaks(self._by_name[name], host, text) for name in when.server)

    def unknown(self, names: Iterable[str]) -> list[str]:
        """Complaints about names that no server has."""
        known = ", ".join(sorted(self._by_name)) or "none"
        return [
            f"server {name!r} is not in servers.yaml; known: {known}" for name in names if name not in self._by_name
        ]


def _speaks(server: Server, host: str, text: str) -> bool:
    if host and (host == server.name or _among(host, server.hosts)):
        return True
    return any(found_in(pattern, text) for pattern in server.words)


@lru_cache(1_024)
def _among(host: str, domains: tuple[str, ...]) -> bool:
    return any(host == domain or host.endswith("." + domain) for domain in domains)
