"""What the conversations of one practice upstream share: promises, and who was here before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.practice.conversation import Conversation
    from relay.practice.scenario import Scenario


@dataclass(slots=True)
class Desk:
    """The memory of one practice upstream.

    A refusal at connect or EHLO comes before any address was named. So the MAIL that asks for one only leaves a promise
    here: every idle connection is closed, and the next one is refused that way.
    """

    report: Callable[[str], None]
    slow_seconds: float
    promised: Scenario | None = None
    greylist: set[tuple[str, str]] = field(default_factory=set)
    conversations: set[Conversation] = field(default_factory=set)
    accepted: int = 0

    def promise(self, scenario: Scenario) -> None:
        """Refuse the next connection by this scenario, and make sure that there is a next one."""
        self.promised = scenario
        for conversation in self.conversations:
            if conversation.is_idle:
                conversation.hang_up()

    def take(self) -> Scenario | None:
        """What a new connection was promised, if anything; the one after it is promised nothing."""
        scenario, self.promised = self.promised, None
        return scenario

    def is_second_try(self, sender: str, recipient: str) -> bool:
        """Whether this pair was turned away just before; a third try counts as a first one again."""
        pair = (sender, recipient)
        if pair in self.greylist:
            self.greylist.discard(pair)
            return True
        self.greylist.add(pair)
        return False
