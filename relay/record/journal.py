"""What is remembered: each refusal that was explained, each message that went through; said without waiting."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from relay.record.counters import KEPT, MESSAGES, OCTETS, SPOOL_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relay.explain.page import Explanation
    from relay.record.counters import Row
    from relay.record.log import Log
    from relay.smtp import Reply

_LEAST_LOCAL_PART = 4  # letters; shorter ones are hidden only where they are words of their own
_RECIPIENTS_NAMED = 20  # of a message with many
# Of any address, whosever it is; tried only where a word begins, so that a long one costs no more than its length.
_LOCAL_PART = re.compile(r"""((?<![^\s<>()\[\],;:"'])[^\s<>()\[\],;:"']+|"[^"]*")(?=(@|%40)[\w\[])""")


class Occasion(NamedTuple):
    """When and where something happened: the reference that stands in the reply, the client, the seconds it took."""

    ref: str
    client: str
    seconds: float


class Passed(NamedTuple):
    """A message that the upstream has taken. `words` are what it said."""

    upstream: str
    words: str
    sender: str
    recipients: tuple[str, ...]
    size: int | None
    tls: bool
    login: bool
    user: str | None


class Journal:
    """Writes events to the log and counts them. With `mask_addresses`, of each address only its domain is written."""

    def __init__(self, log: Log, counters: Row, *, mask_addresses: bool = False) -> None:
        self.counters = counters
        self._log = log
        self._shown = _masked if mask_addresses else _plain

    def failure(self, explanation: Explanation, occasion: Occasion, accepted: Iterable[str] = ()) -> None:
        """One refusal, as it was explained to the client; the recipients `accepted` so far may be named in it."""
        failure = explanation.failure
        reply = failure.reply
        self.counters.failure(explanation.reason, reply.phase, reply.code)
        if reply.fault is not None:
            self.counters.fault(reply.fault)
        self._log.warning(
            "relay_failure",
            ref=occasion.ref,
            phase=reply.phase,
            code=reply.code,
            status=reply.status,
            reason=explanation.reason,
            page=explanation.id,
            who=explanation.who,
            retry=explanation.retry,
            upstream=failure.upstream,
            fault=reply.fault,
            words=self._masked_words(reply, (failure.sender, failure.recipient, failure.user, *accepted)),
            sender=self._shown(failure.sender),
            recipient=self._shown(failure.recipient),
            client=occasion.client,
            tls=failure.tls,
            login=failure.login,
            user=self._shown(failure.user),
            size=failure.size,
            duration=round(occasion.seconds, 3),
        )

    def passed(self, message: Passed, occasion: Occasion) -> None:
        """One message, taken by the upstream."""
        self.counters.add(MESSAGES)
        self.counters.add(OCTETS, message.size or 0)
        self._log.info(
            "relay_message",
            upstream=message.upstream,
            words=self._hidden(message.words, (message.sender, *message.recipients, message.user)),
            sender=self._shown(message.sender),
            recipients=list(map(self._shown, message.recipients[:_RECIPIENTS_NAMED])),
            recipient_count=len(message.recipients),
            client=occasion.client,
            tls=message.tls,
            login=message.login,
            user=self._shown(message.user),
            size=message.size,
            duration=round(occasion.seconds, 3),
        )

    def kept(self, letter: str, sender: str, size: int, recipients: tuple[tuple[str, Reply], ...]) -> None:
        """A message, or a part of it, that was accepted for the spool; why, stands beside each recipient."""
        self.counters.add(KEPT)
        self._log.info(
            "relay_kept",
            letter=letter,
            sender=self._shown(sender),
            recipients=[self._shown(address) for address, _ in recipients[:_RECIPIENTS_NAMED]],
            recipient_count=len(recipients),
            code=recipients[0][1].code,
            fault=recipients[0][1].fault,
            words=self._masked_words(recipients[0][1], (sender, *(address for address, _ in recipients))),
            size=size,
        )

    def spooled(self, event: str, letter: str, sender: str, addresses: tuple[str, ...], reply: Reply | None) -> None:
        """What became of a letter of the spool: `spool_delivered`, `spool_later`, `spool_failed` and their like."""
        if event in SPOOL_EVENTS:
            self.counters.add(SPOOL_EVENTS[event])
        tell = self._log.info if event in ("spool_delivered", "spool_later") else self._log.warning
        tell(
            event,
            letter=letter,
            recipients=list(map(self._shown, addresses[:_RECIPIENTS_NAMED])),
            recipient_count=len(addresses),
            code=reply.code if reply is not None else None,
            fault=reply.fault if reply is not None else None,
            words=self._masked_words(reply, (sender, *addresses)) if reply is not None else None,
        )

    def _masked_words(self, reply: Reply, addresses: tuple[str | None, ...]) -> list[str]:
        return [self._hidden(line.decode("utf-8", "replace"), addresses) for line in reply.lines]

    def _hidden(self, words: str, addresses: Iterable[str | None]) -> str:
        """The upstream's words, in which it may name anybody by the address, or by the local part alone."""
        if self._shown is _plain:
            return words
        words = _LOCAL_PART.sub("***", words)
        lower = words.lower()
        named = {name for address in addresses if address for name in _names(address) if name.lower() in lower}
        for name in sorted(named, key=len, reverse=True):
            pattern = re.escape(name) if len(name) >= _LEAST_LOCAL_PART else rf"(?<!\w){re.escape(name)}(?!\w)"
            words = re.sub(pattern, "***", words, flags=re.IGNORECASE)
        return words


def _names(address: str) -> list[str]:
    """How a server may name a mailbox: by the local part without its quotes, or without what stands behind a plus."""
    local = (address.rpartition("@")[0] or address).strip('"')
    return [name for name in (local, local.partition("+")[0]) if name]


def _plain(address: str | None) -> str | None:
    return address


def _masked(address: str | None) -> str | None:
    if not address:
        return address
    _, at, domain = address.rpartition("@")
    return f"***{at}{domain}" if at else "***"
