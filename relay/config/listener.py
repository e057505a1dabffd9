"""One address the relay listens on, and who may use it. Nobody becomes an open relay by accident here."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Self

from pydantic import PlainValidator, model_validator

from relay.config.kinds import AnyFile, Section, choice, host_name, is_address, is_loopback
from relay.config.pem import complaints_about_pair
from relay.config.problem import Complaint, expected, mistake

Network = IPv4Network | IPv6Network

_PRIVATE_6 = IPv6Network("fc00::/7")


class ListenerTLS(StrEnum):
    """How a listener protects the way from the client."""

    NONE = "none"
    STARTTLS = "starttls"  # offered; AUTH only after it
    STARTTLS_REQUIRED = "starttls-required"  # nothing but EHLO, STARTTLS, NOOP, RSET, QUIT before it
    IMPLICIT = "implicit"  # TLS from the first octet


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str  # a name or an address, without brackets
    port: int  # 0 lets the system choose one

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        """As it is written: 127.0.0.1:2525, [::1]:2525."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LoginRule:
    """Lets in any client whose login the upstream has accepted, or (with a name) that one alone."""

    name: str | None = None

    def __str__(self) -> str:
        """As it is written: login, login:anna."""
        return f"login:{self.name}" if self.name else "login"


def _address(value: Any) -> Address:
    if isinstance(value, Address):
        return value
    host, colon, port = value.strip().rpartition(":") if isinstance(value, str) else ("", "", "")
    bracketed = host[:1] + host[-1:] == "[]"
    host = host.strip("[]") if bracketed else host
    if not colon or not port.isdecimal() or int(port) > 65535 or not host or (":" in host) != bracketed:
        cure = "for every interface write 0.0.0.0:PORT; IPv6 goes into brackets and quotes, as in " + '"[::1]:2525"'
        raise expected("HOST:PORT, such as 127.0.0.1:2525, the port from 0 to 65535", cure)
    if bracketed and not is_address(host):
        raise expected("an IPv6 address between the brackets")
    return Address(host if is_address(host) else host_name(host), int(port))


def _network(value: Any) -> Network:
    if isinstance(value, Network):
        return value
    try:
        return ip_network(value if isinstance(value, str) else "")
    except ValueError:
        raise expected("a network such as 10.0.0.0/8 or 2001:db8::/32, or an address", _with_host_bits(value)) from None


def _with_host_bits(value: Any) -> str:
    try:
        return f"bits are set behind the prefix; did you mean {ip_network(value, strict=False)}?"
    except ValueError:
        return ""


def _allowed(value: Any) -> Network | LoginRule:
    if isinstance(value, LoginRule):
        return value
    word, colon, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if word != "login":
        return _network(value)
    if colon and not name.strip():
        raise expected("login:NAME with a name, or login for any login the upstream accepts")
    return LoginRule(name.strip() or None)


class Listener(Section):
    """One address the relay listens on."""

    address: Annotated[Address, PlainValidator(_address)]
    tls: Annotated[ListenerTLS, choice(ListenerTLS)] = ListenerTLS.NONE
    certificate: AnyFile = None
    key: AnyFile = None
    allow: tuple[Annotated[Network | LoginRule, PlainValidator(_allowed)], ...] = ()
    proxy_protocol: tuple[Annotated[Network, PlainValidator(_network)], ...] = ()

    @property
    def reachable(self) -> bool:
        """Whether clients beyond this machine can come in, directly or through a proxy in front."""
        return not self.address.loopback or bool(self.proxy_protocol)

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """The networks whose clients need no login."""
        return tuple(rule for rule in self.allow if not isinstance(rule, LoginRule))

    @cached_property
    def logins(self) -> tuple[LoginRule, ...]:
        """The logins that open this listener."""
        return tuple(rule for rule in self.allow if isinstance(rule, LoginRule))

    def allows_address(self, client: str) -> bool:
        """Whether a client at this IP address may send without a login."""
        return not self.allow or _within(client, self.networks)

    def allows_login(self, user: str) -> bool:
        """Whether a client may send whose login under this name the upstream has accepted."""
        return any(rule.name in (None, user) for rule in self.logins)

    def trusts_proxy(self, peer: str) -> bool:
        """Whether a peer at this IP address sends a PROXY header before the client's own words."""
        return _within(peer, self.proxy_protocol)

    @model_validator(mode="after")
    def _check(self) -> Self:
        complaints = [*self._complaints_about_tls(), *self._complaints_about_access()]
        if complaints:
            raise mistake(*complaints)
        return self

    def _complaints_about_tls(self) -> Iterator[Complaint]:
        given = self.certificate or self.key
        if self.tls is ListenerTLS.NONE and given:
            cure = "add tls: starttls (or implicit), or remove certificate and key"
            yield Complaint("TLS to be on where a certificate is given", cure, "tls: none", ("tls",))
        elif self.tls is not ListenerTLS.NONE and not given:
            cure = "add certificate: FILE and key: FILE"
            yield Complaint(f"a certificate and a key for tls: {self.tls}", cure, "neither", ("tls",))
        else:
            yield from complaints_about_pair(self.certificate, self.key)

    def _complaints_about_access(self) -> Iterator[Complaint]:
        if not self.reachable:
            return
        if not self.allow:
            yield _open_to_all(self.address)
        for index, rule in enumerate(self.allow):
            if isinstance(rule, Network) and _too_wide(rule):
                cure = "list only your own networks; for clients from anywhere write allow: [login] instead"
                yield Complaint("networks of your own: this one makes an open relay", cure, at=("allow", index))
        if self.logins and self.tls is ListenerTLS.NONE:
            cure = "add tls: starttls with certificate and key, or listen on 127.0.0.1"
            words = "TLS on a listener that takes logins: a login in clear is accepted only on loopback"
            yield Complaint(words, cure, "tls: none", ("tls",))


def _open_to_all(address: Address) -> Complaint:
    words = (
        "a list of who may use this listener: without one, anybody who reaches it could send mail through your upstream"
    )
    cure = f"add allow: [NETWORK, ...] (your own networks), or allow: [login]; or listen on 127.0.0.1:{address.port}"
    return Complaint(words, cure, f"{address} without allow", ("address",))


def _too_wide(network: Network) -> bool:
    if isinstance(network, IPv6Network) and network.subnet_of(_PRIVATE_6):
        return False
    return network.prefixlen < 8


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    ip = ip_address(address.partition("%")[0])
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return any((mapped or ip) in network for network in networks)
