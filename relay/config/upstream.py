"""The server behind us: where it is, how to log in to it, how to verify it, and how connections to it are kept."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import SecretStr, model_validator

from relay.config.kinds import (
    AnyFile,
    AnyText,
    Seconds,
    Section,
    address,
    choice,
    domain_or_address,
    host_name,
    maybe,
    secret,
    whole,
)
from relay.config.pem import complaints_about_authorities, complaints_about_pair
from relay.config.problem import Complaint, mistake
from relay.config.url import Security, UpstreamURL, upstream_url


class LoginMechanism(StrEnum):
    """How the relay's own login is sent (RFC 4954)."""

    AUTO = "auto"  # the best of those the upstream offers
    PLAIN = "plain"
    LOGIN = "login"
    CRAM_MD5 = "cram-md5"
    XOAUTH2 = "xoauth2"  # the password is an access token


@dataclass(frozen=True, slots=True)
class Login:
    """The relay's own login at the upstream."""

    user: str
    password: SecretStr


class UpstreamTLS(Section):
    """How the upstream's certificate is verified, and the relay's own, if the upstream asks for one."""

    ca_file: AnyFile = None
    certificate: AnyFile = None
    key: AnyFile = None
    server_name: Annotated[str | None, maybe(host_name)] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        pair = complaints_about_pair(self.certificate, self.key)
        complaints = [*complaints_about_authorities(self.ca_file), *pair]
        if complaints:
            raise mistake(*complaints)
        return self


class Pool(Section):
    """How many connections to the upstream are kept, and for how long."""

    idle: Annotated[int, whole(0)] = 20
    idle_seconds: Seconds = 30.0
    messages_per_connection: Annotated[int, whole(1)] = 100
    warm: Annotated[int, whole(0)] = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.warm > self.idle:
            raise mistake(Complaint(f"at most as many as upstream.pool.idle ({self.idle})", at=("warm",)))
        return self


class Upstream(Section):
    """The server behind us."""

    url: Annotated[UpstreamURL | None, maybe(upstream_url)] = None
    user: AnyText = None
    password: Annotated[SecretStr | None, maybe(secret)] = None
    login_mechanism: Annotated[LoginMechanism, choice(LoginMechanism)] = LoginMechanism.AUTO
    ehlo_name: Annotated[str | None, maybe(domain_or_address)] = None
    source_address: Annotated[str | None, maybe(address)] = None
    tls: UpstreamTLS = UpstreamTLS()
    pool: Pool = Pool()

    @property
    def server(self) -> UpstreamURL:
        """The URL, where it is known to be given: the loader makes sure of it."""
        if self.url is None:
            raise LookupError("upstream.url is not set")
        return self.url

    @property
    def login(self) -> Login | None:
        """The relay's own login; None where each client's own login is passed through."""
        user = self.user or (self.url and self.url.user)
        password = self.password or (self.url and self.url.password)
        return Login(user, password) if user and password else None

    @model_validator(mode="after")
    def _check(self) -> Self:
        complaints = tuple(self._complaints())
        if complaints:
            raise mistake(*complaints)
        return self

    def _complaints(self) -> Iterator[Complaint]:
        url = self.url
        if url and url.user and self.user:
            yield Complaint(
                "one user name, not two", "remove one of them", "one here, another in upstream.url", ("user",)
            )
        if url and url.password and self.password:
            hidden = "one here, another in upstream.url"
            yield Complaint("one password, not two", "remove one of them", hidden, ("password",))
        yield from self._complaints_about_login()

    def _complaints_about_login(self) -> Iterator[Complaint]:
        url = self.url
        user, password = self.user or (url and url.user), self.password or (url and url.password)
        if user and not password:
            cure = "add upstream.password_file, or set RELAY_UPSTREAM__PASSWORD_FILE"
            yield Complaint(
                "a password for this user", cure, "a user without a password", ("user" if self.user else "url",)
            )
        if password and not user:
            yield Complaint("a user for this password", "add upstream.user", "a password without a user", ("password",))
        if self.login and url and url.security is Security.PLAIN and not url.loopback:
            cure = "use smtp:// or smtps://; the relay never sends a login unencrypted beyond this machine"
            yield Complaint("an encrypted way for a login", cure, "a login with smtp+plain://", ("url",))
