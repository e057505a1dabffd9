"""The server behind us, as the operator named it: where it is, how it is secured, how long we wait for it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from relay.config.url import Security
from relay.networks import is_loopback
from relay.upstream.names import Names

if TYPE_CHECKING:
    from relay.smtp import Phase


@dataclass(frozen=True)
class Login:
    """The relay's own login at the upstream. The password is never shown by repr."""

    user: str
    password: str = field(repr=False)
    mechanism: str = "auto"


@dataclass(frozen=True)
class Waits:
    """How long one reply may take, in seconds, by what was asked (RFC 5321 section 4.5.3.2)."""

    connect: float
    tls: float
    replies: dict[Phase, float]


@dataclass(frozen=True)
class Server:
    """The upstream. `ehlo_name` None: the address literal of our end of the connection (RFC 5321 section 4.1.4)."""

    host: str
    port: int
    security: Security
    waits: Waits
    login: Login | None = None
    ehlo_name: str | None = None
    source_address: str | None = None
    ca_file: str | None = None
    certificate: str | None = None
    key: str | None = None
    tls_name: str | None = None
    names: Names = field(default_factory=Names, repr=False, compare=False)

    @cached_property
    def name(self) -> str:
        """Host and port as people write them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @cached_property
    def protects_logins(self) -> bool:
        """Whether a password on its way there cannot be read by others: encrypted, or on this very machine."""
        return self.security is not Security.PLAIN or is_loopback(self.host)

    @cached_property
    def tls_context(self) -> ssl.SSLContext:
        """What we demand of the upstream's certificate; made at the first use, for it reads the system's authorities.

        Raises:
            OSError, ssl.SSLError: a file is missing or is not what it should be; `relay check` looks before the start.
        """
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context
