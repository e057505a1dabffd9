"""How long one client is waited for: in silence between its lines, and for a message that stops or trickles."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from relay.smtp import Fault, Phase

if TYPE_CHECKING:
    from relay.proxy.service import Rules

_RATE_SECONDS = 30.0


class Lost(NamedTuple):
    """Patience is at its end: what the client is told."""

    fault: Fault
    detail: str
    phase: Phase | None = None


class Patience:
    """Only times are noted while things happen; they are weighed when a deadline has passed, all in the loop's seconds.

    Each judgement is either that patience is lost, or the time at which to look again.
    """

    __slots__ = ("_last_octets", "_octets", "_window_start", "last_event")

    def __init__(self, now: float) -> None:
        self.last_event = now  # when something was last said by the client, or to it
        self._last_octets = self._window_start = now
        self._octets = 0

    def begin_message(self, now: float) -> None:
        """A message begins, or goes on after the relay has made it wait."""
        self.last_event = self._last_octets = self._window_start = now
        self._octets = 0

    def octets(self, count: int, now: float) -> None:
        """So many octets of the message came."""
        self._last_octets = now
        self._octets += count

    def with_silence(self, rules: Rules, now: float) -> Lost | float:
        """Judge a client that may say its next line."""
        if now < self.last_event + rules.client_idle:
            return self.last_event + rules.client_idle
        return Lost(Fault.IDLE, f"nothing was sent for {rules.client_idle:g} seconds")

    def with_message(self, rules: Rules, now: float) -> Lost | float:
        """Judge a client that sends a message."""
        if now >= self._last_octets + rules.client_data:
            return Lost(Fault.TOO_SLOW, f"the message stopped for {rules.client_data:g} seconds", Phase.MESSAGE)
        if now >= self._window_start + _RATE_SECONDS:
            if self._octets and self._octets < rules.data_rate * (now - self._window_start):
                slow = f"the message came at less than {rules.data_rate} octets a second"
                return Lost(Fault.TOO_SLOW, slow, Phase.MESSAGE)
            self._window_start, self._octets = now, 0
        return min(self._last_octets + rules.client_data, self._window_start + _RATE_SECONDS)
