"""What a scenario of the practice upstream is: one refusal, at one step of the dialogue, in one provider's words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relay.smtp import Phase


class Behaviour(StrEnum):
    """What the practice upstream does when a scenario is due."""

    REPLY = "reply"  # says the lines of the scenario, and closes the connection after a 421
    SECOND_TRY = "second-try"  # says them at the first try, accepts the second one
    SLOW = "slow"  # accepts, but only after some seconds
    SILENT = "silent"  # never answers
    DROP = "drop"  # closes the connection instead of answering


# The domains end in .example (RFC 2606), so that a practice mail can never reach a real mailbox.
DOMAINS = {
    "Amazon SES": "amazonses.example",
    "Barracuda": "barracuda.example",
    "Cisco": "cisco.example",
    "Exim": "exim.example",
    "GMX": "gmx.example",
    "Google": "gmail.example",
    "iCloud": "icloud.example",
    "Microsoft": "outlook.example",
    "Mimecast": "mimecast.example",
    "NetEase 163": "163.example",
    "OpenSMTPD": "opensmtpd.example",
    "Postfix": "postfix.example",
    "Proofpoint": "proofpoint.example",
    "QQ": "qq.example",
    "qmail": "qmail.example",
    "Sendmail": "sendmail.example",
    "SendGrid": "sendgrid.example",
    "T-Online": "t-online.example",
    "WEB.DE": "web-de.example",
    "Yahoo": "yahoo.example",
    "Yandex": "yandex.example",
    "Zoho": "zoho.example",
    "a broken server": "broken.example",
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One refusal that can be asked for by name.

    Attributes:
        name: the local part of the address (or the start of the user name) that asks for it.
        phase: the command it answers.
        provider: whose words these are; a key of `DOMAINS`.
        reason: the reason of the book that a careful reader gives it.
        note: what it shows, in one sentence.
        lines: the reply line by line as it goes over the wire, CRLF left out; `{recipient}`, `{sender}`, `{domain}`
            (the recipient's), `{user}` and `{helo}` are filled in.
        behaviour: what is done with them.
        expect: the code that a client of the relay hears at the end, where it is not the one the lines begin with.
    """

    name: str
    phase: Phase
    provider: str
    reason: str
    note: str
    lines: tuple[str, ...] = ()
    behaviour: Behaviour = Behaviour.REPLY
    expect: int = 0

    @property
    def domain(self) -> str:
        """The domain that asks for this provider's words where several providers have a scenario of that name."""
        return DOMAINS[self.provider]

    @property
    def address(self) -> str:
        """The address (for a login: the user name) that asks for exactly this scenario."""
        return f"{self.name}@{self.domain}"

    @property
    def code(self) -> int:
        """The basic code that a client of the relay hears at the end."""
        return self.expect or int(self.lines[0][:3])

    def reply(self, **names: str) -> bytes:
        """The reply as it goes over the wire, without the last CRLF; the `names` fill its blanks."""
        blanks = {"recipient": "", "sender": "", "domain": "", "user": "", "helo": ""} | names
        return "\r\n".join(line.format_map(blanks) for line in self.lines).encode("utf-8", "surrogateescape")
