"""Where an address lies: on this machine, or in one of the operator's networks."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(1024)
def is_loopback(host: str) -> bool:
    """Whether a host is this very machine; of all names only `localhost` is, whatever another one resolves to."""
    address = _parsed(host)
    return address.is_loopback if address else host.lower().rstrip(".") == "localhost"


def within(host: str, networks: tuple[Network, ...]) -> bool:
    """Whether an address lies in one of the networks; a name lies in none."""
    address = _parsed(host) if networks else None
    return address is not None and any(address in network for network in networks)


def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    # IPv4 that came over an IPv6 socket counts as what it is.
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
