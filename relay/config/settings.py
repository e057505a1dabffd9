"""All that the operator may choose, as one frozen value; `config/relay.yaml` is its manual."""

import os
import socket
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from relay.config.database import Database
from relay.config.kinds import (
    AnySize,
    HostName,
    Reads,
    Section,
    Switch,
    choice,
    file_or_folder,
    file_to_write,
    maybe,
    one_of,
    whole,
)
from relay.config.listener import Address, Listener, address
from relay.config.problem import Complaint, expected, mistake
from relay.config.retry import Retry, RetryMode
from relay.config.timeouts import Timeouts
from relay.config.upstream import Upstream
from relay.config.url import Security, UpstreamURL
from relay.languages import ENGLISH, LANGUAGES
from relay.networks import leads_to

_MOST_WORKERS = 64
_LOG_FIXED = ("file", "format", "level")  # of the log, what changes only with a restart
# Of the spool, what a reload takes over, see `relay.later`.
_SPOOL_CHANGES = ("first", "longest", "max_age", "delay_notice", "messages", "size", "free_disk", "concurrency")


class BareNewline(StrEnum):
    """What happens to a message with a CR or LF that stands alone."""

    REJECT = "reject"
    NORMALIZE = "normalize"


class Style(StrEnum):
    """How much a refusal says to the client."""

    FULL = "full"
    SHORT = "short"


class ExplainLoginAt(StrEnum):
    """The command at which a refused login is explained: many mail programs show no words of a refused AUTH."""

    AUTH = "auth"
    MAIL = "mail"


class LogFormat(StrEnum):
    """How a log line looks."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The least important kind of line that is still logged."""

    INFO = "info"
    WARNING = "warning"


def _language(value: Any) -> str:
    if not isinstance(value, str) or value not in LANGUAGES:
        raise expected(", ".join(LANGUAGES), "the book speaks no other language yet")
    return value


def _workers(value: Any) -> int:
    if value == "auto":
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    number = int(value) if str(value).isdecimal() else 0
    if not 1 <= number <= _MOST_WORKERS:
        raise expected(f"a whole number from 1 to {_MOST_WORKERS}, or auto, one for each processor")
    if number > 1 and not hasattr(os, "fork"):
        raise expected("1 on this system, which cannot share sockets among processes")
    return number


class Limits(Section):
    """What one client, and all together, may ask of the relay."""

    message_size: AnySize = None
    connections: Annotated[int, whole(1)] = 1000
    connections_per_address: Annotated[int, whole(1)] = 50
    recipients: Annotated[int, whole(1)] = 1000
    errors: Annotated[int, whole(1)] = 20
    login_failures: Annotated[int, whole(1)] = 10
    command_line: Annotated[int, whole(512)] = 2048  # RFC 5321 section 4.5.3.1.4 demands 512
    auth_line: Annotated[int, whole(512)] = 12288  # RFC 4954 section 4
    data_rate: Annotated[int, whole(0)] = 500


class Message(Section):
    """How message data is treated."""

    bare_newline: Annotated[BareNewline, choice(BareNewline)] = BareNewline.REJECT


class ReplyStyle(Section):
    """What an explained refusal looks like."""

    style: Annotated[Style, choice(Style)] = Style.FULL
    language: Annotated[str, Reads(_language)] = ENGLISH
    explain_login_at: Annotated[ExplainLoginAt, choice(ExplainLoginAt)] = ExplainLoginAt.AUTH


class BookPlaces(Section):
    """Where the operator's own pages are."""

    house: Annotated[Path | None, maybe(file_or_folder)] = None


class Log(Section):
    """Where the log goes, and how it looks."""

    format: Annotated[LogFormat | None, maybe(one_of(LogFormat))] = None
    file: Annotated[Path | None, maybe(file_to_write)] = None
    mask_addresses: Switch = False
    level: Annotated[LogLevel, choice(LogLevel)] = LogLevel.INFO


class Web(Section):
    """The relay's own site: metrics and health."""

    listen: Annotated[Address | None, maybe(address)] = None
    hosts: tuple[HostName, ...] = ()


class Settings(Section):
    """All that the operator may choose."""

    listen: tuple[Listener, ...] = (Listener(address=Address("127.0.0.1", 2525)),)
    hostname: HostName = Field(default_factory=socket.gethostname)  # the bare name: no DNS query is made for it
    upstream: Upstream = Upstream()
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    message: Message = Message()
    reply: ReplyStyle = ReplyStyle()
    book: BookPlaces = BookPlaces()
    log: Log = Log()
    retry: Retry = Retry()
    database: Database = Database()
    web: Web = Web()
    workers: Annotated[int, Reads(_workers)] = 1

    @property
    def ehlo_name(self) -> str:
        """The name the relay gives to the upstream."""
        return self.upstream.ehlo_name or self.hostname

    def retry_mode(self, listener: Listener) -> RetryMode:
        """What happens to mail that came in by this door: its own word, or that of `retry.mode`."""
        return listener.retry or self.retry.mode

    @property
    def retrying(self) -> bool:
        """Whether any mail is tried again at all."""
        return any(self.retry_mode(listener) is not RetryMode.OFF for listener in self.listen)

    @property
    def spooling(self) -> bool:
        """Whether any mail may be kept for later."""
        return any(self.retry_mode(listener) is RetryMode.SPOOL for listener in self.listen)

    def as_begun(self, begun: Self) -> Self:
        """These settings, in which all that changes only with a restart is as it was at the start."""
        spool = begun.retry.spool.model_copy(update={name: getattr(self.retry.spool, name) for name in _SPOOL_CHANGES})
        log = {name: getattr(begun.log, name) for name in _LOG_FIXED}
        kept = {
            "listen": begun.listen,
            "workers": begun.workers,
            "web": begun.web,
            "database": begun.database,
            "log": self.log.model_copy(update=log),
            "retry": begun.retry.model_copy(update={"spool": spool}),
        }
        return self.model_copy(update=kept)

    def until_restart(self, begun: Self) -> list[str]:
        """The names of what is set otherwise than at the start and changes only with a restart."""
        kept = self.as_begun(begun)
        return [name for name in type(self).model_fields if getattr(self, name) != getattr(kept, name)]

    def with_upstream(self, url: UpstreamURL) -> Self:
        """The same settings in front of another server, with neither the login nor the certificates of this one."""
        upstream = Upstream(url=url, pool=self.upstream.pool, ehlo_name=self.upstream.ehlo_name)
        return self.model_copy(update={"upstream": upstream})

    @model_validator(mode="after")
    def _check(self) -> Self:
        complaints = [*self._complaints_about_addresses(), *self._complaints_about_logins()]
        if complaints:
            raise mistake(*complaints)
        return self

    def _complaints_about_addresses(self) -> Iterator[Complaint]:
        if not self.listen:
            yield Complaint("at least one address to listen on", at=("listen",))
        if self.web.listen and self.web.listen.port and self.web.listen in {each.address for each in self.listen}:
            yield Complaint("an address that no listener has", at=("web", "listen"))
        url = self.upstream.url
        seen: set[Address] = set()
        for index, listener in enumerate(self.listen):
            if url and url.port == listener.address.port and leads_to(url.host, listener.address.host):
                cure = "name the mail server that is to be behind the relay"
                found = f"{url}, where the relay itself listens"
                yield Complaint("another server than the relay itself", cure, found, at=("upstream", "url"))
            if listener.address in seen and listener.address.port:
                yield Complaint("each address only once", at=("listen", index, "address"))
            seen.add(listener.address)

    def _complaints_about_logins(self) -> Iterator[Complaint]:
        url = self.upstream.url
        for index, listener in enumerate(self.listen):
            at = ("listen", index, "allow")
            if listener.login and self.upstream.login:
                cure = "remove login from allow and list networks, or remove the relay's own user from upstream"
                words = "clients' logins to be passed on: the upstream decides whether they are right"
                yield Complaint(words, cure, "a login rule, while the relay logs in upstream with its own user", at)
            if listener.login and url and url.security is Security.PLAIN and not url.loopback:
                cure = "use smtp:// or smtps://; the relay never sends a login unencrypted beyond this machine"
                yield Complaint(
                    "an upstream that logins may be passed on to", cure, "a login rule and smtp+plain://", at
                )
