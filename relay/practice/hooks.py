"""What the practice upstream hands to aiosmtpd: its answers to EHLO and HELO, its session and its transaction."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import Envelope, Session

if TYPE_CHECKING:
    from relay.practice.conversation import Conversation
    from relay.practice.scenario import Scenario
    from relay.smtp import Phase

SIZE_LIMIT = 26_214_400  # octets; what many large providers announce
_KEYWORDS = (f"SIZE {SIZE_LIMIT}", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN")


class Transaction(Envelope):
    """One mail transaction, and the scenario its addresses ask for at DATA or after the final dot."""

    due: Scenario | None = None
    asked_by: str = ""  # the recipient that named it; "" where the sender did

    def due_at(self, phase: Phase) -> Scenario | None:
        """The scenario that is to be played at this step."""
        return self.due if self.due and self.due.phase is phase else None


class Login(Session):
    """aiosmtpd's session, without the attribute that warns about itself at each use."""

    login_data: Any = None


class Hooks:
    """What aiosmtpd asks of its owner."""

    async def handle_EHLO(  # noqa: N802 - the name is aiosmtpd's
        self, server: Conversation, session: Session, _envelope: Envelope, hostname: str, _responses: list[str]
    ) -> list[str]:
        """Offer what this server does, or refuse the name if this connection was promised that."""
        if server.promised:
            return [server.promised.reply(helo=hostname).decode()]
        session.host_name = hostname
        *firsts, last = (server.hostname, *_KEYWORDS)
        return [*(f"250-{line}" for line in firsts), f"250 {last}"]

    async def handle_HELO(  # noqa: N802 - the name is aiosmtpd's
        self, server: Conversation, session: Session, _envelope: Envelope, hostname: str
    ) -> str:
        """Answer the older greeting alike."""
        if server.promised:
            return server.promised.reply(helo=hostname).decode()
        session.host_name = hostname
        return f"250 {server.hostname}"

    async def handle_exception(self, error: Exception) -> str:
        """Answer a mistake of this package as a mail server would, and keep its traceback."""
        logging.getLogger(__name__).error("The practice upstream failed", exc_info=error)
        return "451 4.3.0 Local error in processing"
