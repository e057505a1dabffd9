"""What happens to a message after a temporary failure: nothing, another try while the client waits, or the spool."""

import base64
import binascii
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import SecretStr, model_validator

from relay.config.kinds import Reads, Seconds, Section, choice, maybe, octets, seconds, secret, whole
from relay.config.problem import Complaint, expected, mistake

_DAY = 86400.0


class RetryMode(StrEnum):
    """What happens to a message after a temporary failure."""

    OFF = "off"
    INLINE = "inline"  # tried again while the client waits
    SPOOL = "spool"  # accepted, kept, and tried again later


class KeepLogins(StrEnum):
    """What happens in the spool to mail that a client sends under its own login."""

    OFF = "off"  # it is not kept
    ENCRYPTED = "encrypted"  # kept with the login, encrypted under `key`


def _key(value: Any) -> SecretStr:
    words = secret(value)
    try:
        key = base64.urlsafe_b64decode(words.get_secret_value())
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32:
        cure = "make one: head -c 32 /dev/urandom | base64 | tr +/ -_"
        raise expected("32 octets in URL-safe base64", cure, "something else (hidden)")
    return words


def _seconds_or_never(value: Any) -> float | None:
    return None if value in (None, "never") else seconds(value)


class Inline(Section):
    """Trying again while the client waits."""

    budget: Seconds = 45.0  # of one mail, for all its commands together
    first: Seconds = 1.0


class Spool(Section):
    """The durable spool: how often it tries, when it gives up, how much it takes."""

    first: Seconds = 60.0
    longest: Seconds = 14400.0
    max_age: Seconds = 5 * _DAY
    delay_notice: Annotated[float | None, Reads(_seconds_or_never)] = 14400.0
    concurrency: Annotated[int, whole(1)] = 4
    lease: Seconds = 60.0
    messages: Annotated[int, whole(1)] = 100_000
    size: Annotated[int, Reads(octets)] = 10 * 2**30
    free_disk: Annotated[int, Reads(octets)] = 500 * 10**6
    keep_logins: Annotated[KeepLogins, choice(KeepLogins)] = KeepLogins.OFF
    key: Annotated[SecretStr | None, maybe(_key)] = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        complaints = []
        if self.keep_logins is KeepLogins.ENCRYPTED and self.key is None:
            cure = "set retry.spool.key_file, or RELAY_RETRY__SPOOL__KEY"
            complaints.append(Complaint("a key to encrypt logins with", cure, "keep_logins without a key", ("key",)))
        if self.first > self.longest:
            complaints.append(Complaint(f"at most retry.spool.longest ({self.longest:g})", at=("first",)))
        if complaints:
            raise mistake(*complaints)
        return self


class Retry(Section):
    """What happens to a message after a temporary failure."""

    mode: Annotated[RetryMode, choice(RetryMode)] = RetryMode.OFF
    memory: Annotated[int, Reads(octets)] = 2**18
    inline: Inline = Inline()
    spool: Spool = Spool()
