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


def is_address(host: str) -> bool:
    """Whether a host is an IP address, and no name."""
    return _parsed(host) is not None


def leads_to(host: str, bound: str) -> bool:
    """Whether a connection to `host` arrives at a socket of this machine that is bound to `bound`."""
    if host.lower() == bound.lower():
        return True
    target, own = _parsed(host), _parsed(bound)
    if target is not None and own is not None:
        every = own.is_unspecified and target.is_loopback and target.version == own.version
        return every or target == own
    named = target if own is None else own  # the other one is a name, and `localhost` is all that is known of names
    local = named is not None and (named.is_unspecified or str(named) in ("127.0.0.1", "::1"))
    return local and is_loopback(host if target is None else bound)


def within(host: str, networks: tuple[Network, ...]) -> bool:
    """Whether an address lies in one of the networks; a name lies in none."""
    address = _parsed(host) if networks else None
    return address is not None and any(address in network for network in networks)


def written(address: str) -> str:
    """The address of a peer as people write it: IPv4 that came over an IPv6 socket is IPv4."""
    return str(_parsed(address) or address) if address.startswith("::ffff:") else address


@lru_cache(1024)
def home(address: str) -> str:
    """Whom the limit for one address counts: in IPv6 a network of 64 bits, all of which one customer has (RFC 6177)."""
    found = _parsed(address) if ":" in address else None
    return str(ipaddress.IPv6Network((found, 64), strict=False)) if found and found.version == 6 else address


def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
