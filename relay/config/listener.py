"""One address the relay listens on, and who may use it. Nobody becomes an open relay by accident here."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Network, ip_network
from typing import Annotated, Any, Self

from pydantic import model_validator

from relay.config.kinds import AnyFile, Reads, Section, choice, host_name, is_address, maybe, one_of
from relay.config.pem import complaints_about_pair
from relay.config.problem import Complaint, expected, mistake
from relay.config.retry import RetryMode
from relay.networks import Network, is_loopback

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


def address(value: Any) -> Address:
    """HOST:PORT."""
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

    address: Annotated[Address, Reads(address)]
    tls: Annotated[ListenerTLS, choice(ListenerTLS)] = ListenerTLS.NONE
    certificate: AnyFile = None
    key: AnyFile = None
    allow: tuple[Annotated[Network | LoginRule, Reads(_allowed)], ...] = ()
    proxy_protocol: tuple[Annotated[Network, Reads(_network)], ...] = ()
    retry: Annotated[RetryMode | None, maybe(one_of(RetryMode))] = None

    @property
    def reachable(self) -> bool:
        """Whether clients beyond this machine can come in, directly or through a proxy in front."""
        return not self.address.loopback or bool(self.proxy_protocol)

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks whose clients need no login."""
        return tuple(rule for rule in self.allow if not isinstance(rule, LoginRule))

    @property
    def login(self) -> bool:
        """Whether a login that the upstream has accepted lets a client in."""
        return any(isinstance(rule, LoginRule) for rule in self.allow)

    @property
    def users(self) -> frozenset[str]:
        """The only user names whose login lets a client in; empty where any does."""
        names = [rule.name for rule in self.allow if isinstance(rule, LoginRule)]
        return frozenset(name for name in names if name) if None not in names else frozenset()

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
        if self.login and self.tls is ListenerTLS.NONE:
            cure = "add tls: starttls with certificate and key, or listen on 127.0.0.1"
            words = "TLS on a listener that takes logins: a login in clear is accepted only on loopback"
            yield Complaint(words, cure, "tls: none", ("tls",))


def _open_to_all(address: Address) -> Complaint:
    words = (
        "a list of who may use this listener: without one, anybody who reaches it could send mail through your upstream"
    )
    cure = (
        "below its address in relay.yaml add allow: [NETWORK, ...] (your own networks) or allow: [login]; "
        f"or listen on 127.0.0.1:{address.port}"
    )
    return Complaint(words, cure, f"{address} without allow", ("address",))


def _too_wide(network: Network) -> bool:
    if isinstance(network, IPv6Network) and network.subnet_of(_PRIVATE_6):
        return False
    return network.prefixlen < 8
