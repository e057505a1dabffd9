"""How long each wait may take, in seconds (RFC 5321 section 4.5.3.2)."""

from collections.abc import Callable
from typing import Any

from pydantic import Field

from relay.config.kinds import AnySeconds, Seconds, Section
from relay.smtp import Phase

# The reply to which phase each wait ends with. The STARTTLS reply and the handshake after it share one wait.
_SETTING = {
    Phase.CONNECT: "upstream_greeting",
    Phase.EHLO: "upstream_ehlo",
    Phase.STARTTLS: "upstream_tls",
    Phase.AUTH: "upstream_auth",
    Phase.MAIL: "upstream_mail",
    Phase.RCPT: "upstream_rcpt",
    Phase.DATA: "upstream_data",
    Phase.MESSAGE: "upstream_message",
}


def _unless_set_for_all(seconds: float) -> Callable[[dict[str, Any]], float]:
    """The default of one phase: what `upstream_reply` says for all of them, or else the built-in time."""
    return lambda given: given.get("upstream_reply") or seconds


class Timeouts(Section):
    """How long each wait may take, in seconds."""

    upstream_reply: AnySeconds = None  # first: the phases below take their default from it
    upstream_connect: Seconds = 15.0
    upstream_tls: Seconds = Field(default_factory=_unless_set_for_all(15.0))
    upstream_greeting: Seconds = Field(default_factory=_unless_set_for_all(30.0))
    upstream_ehlo: Seconds = Field(default_factory=_unless_set_for_all(55.0))
    upstream_auth: Seconds = Field(default_factory=_unless_set_for_all(55.0))
    upstream_mail: Seconds = Field(default_factory=_unless_set_for_all(55.0))
    upstream_rcpt: Seconds = Field(default_factory=_unless_set_for_all(55.0))
    upstream_data: Seconds = Field(default_factory=_unless_set_for_all(55.0))
    upstream_message: Seconds = Field(default_factory=_unless_set_for_all(600.0))
    client_idle: Seconds = 300.0
    client_data: Seconds = 180.0
    client_tls: Seconds = 15.0
    proxy_header: Seconds = 5.0
    drain: Seconds = 30.0

    def reply_seconds(self, phase: Phase) -> float:
        """How long the upstream may take for the whole reply to this phase."""
        seconds: float = getattr(self, _SETTING[phase])
        return seconds
