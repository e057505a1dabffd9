"""A question to the upstream and its answer: what is asked, who hears the reply, and which replies can be one."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from relay.smtp import Fault, Phase, Reply

Answer = Callable[[Reply], None]

# The classes of a reply that answer a command at all; 4xx and 5xx always do. 354 to RCPT or 250 to DATA is a lie or a
# slip of the pairing, and either may turn a refusal into a false 250.
CLASSES: dict[Phase, tuple[int, ...]] = dict.fromkeys(Phase, (2,)) | {Phase.AUTH: (2, 3), Phase.DATA: (3,)}
GO_ON = {334: Phase.AUTH, 354: Phase.DATA}  # of the class 3xx there is one reply for each of these two, and no other


class Expected(NamedTuple):
    """A command that is under way: what it is, and who hears the reply."""

    phase: Phase
    answer: Answer
    classes: tuple[int, ...]
    line: bytes  # what was said; empty for the greeting and the message


class Owner(Protocol):
    """Whoever holds the connection for a while and must hear what no command asked for."""

    def upstream_heard(self) -> None:
        """Replies have been handed out: go on with what had to wait for them."""

    def upstream_early(self, reply: Reply) -> None:
        """A refusal came while the message was still on its way: it is the verdict."""

    def upstream_lost(self, pending: tuple[Expected, ...], fault: Fault, detail: str) -> None:
        """The connection is gone; nobody else will answer what is pending."""

    def upstream_full(self, *, full: bool) -> None:
        """The upstream takes octets more slowly than they come (or keeps up again)."""
