"""What is asked of each way: the loads, as data."""

from __future__ import annotations

from dataclasses import dataclass

REFUSAL = "550 5.1.1 <refused@example.com>: Recipient address rejected: User unknown in virtual mailbox table"


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of load on a way."""

    title: str
    sessions: int = 20  # at once
    length: int = 1024  # octets of a message
    kept: bool = False  # many messages a connection
    recipient: str = "rcpt@example.com"
    ends_at_rcpt: str = ""  # the class of the reply to RCPT, after which the session ends; "" sends the message

    counts: bool = False  # whether rate and cost alone matter, so that any generator will do

    @property
    def arrives(self) -> bool:
        """Whether it brings messages to the sink."""
        return not self.ends_at_rcpt


W1 = Load("W1: 1 KiB, one message a connection, 20 at once", counts=True)
W2 = Load("W2: 10 KiB, many messages a connection, 20 at once", length=10 * 1024, kept=True, counts=True)
W3 = Load("W3: 10 MiB, 4 at once", sessions=4, length=10 * 1024 * 1024, counts=True)
W5 = Load("W5: latency, 1 KiB, one session after the other", sessions=1)

ACCEPTED = Load("accepted, message sent")
ADDRESS_ONLY = Load("accepted, ends after RCPT", ends_at_rcpt="2")
REFUSED = Load("refused at RCPT", recipient="refused@example.com", ends_at_rcpt="5")

LOADS = {"W1": W1, "W2": W2, "W3": W3, "W5": W5}
