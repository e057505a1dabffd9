"""The fixed words around a page's own: written here in English, translated beside the pages (`phrases.yaml`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relay.explain.fill import FALLBACK
from relay.explain.reason import Who
from relay.languages import ENGLISH
from relay.smtp import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

# How the last line begins where no upstream spoke.
_SEEN = {
    "refused-by-relay": "This relay refused it",
    "no-reply": "No reply came",
    "no-usable-reply": "No usable reply came",
    "no-verdict": "No verdict came",
    "no-secure-connection": "No secure connection",
    "relay-failed": "The relay failed",
}
_SEEN_OF = {
    Fault.GARBLED: "no-usable-reply",
    Fault.OUTCOME_UNKNOWN: "no-verdict",
    Fault.RECIPIENT_LOST: "no-verdict",
    Fault.OFFER_CHANGED: "refused-by-relay",
    Fault.EXHAUSTED: "relay-failed",
    Fault.BUG: "relay-failed",
    Fault.TLS: "no-secure-connection",
    Fault.TLS_NOT_OFFERED: "no-secure-connection",
    Fault.TLS_WRONG_PORT: "no-secure-connection",
    Fault.CERTIFICATE: "no-secure-connection",
    Fault.CERTIFICATE_EXPIRED: "no-secure-connection",
    Fault.CERTIFICATE_NOT_YET_VALID: "no-secure-connection",
    Fault.CERTIFICATE_NAME: "no-secure-connection",
    Fault.CERTIFICATE_ISSUER: "no-secure-connection",
}

_WHO = {
    Who.SENDER: "yours",
    Who.SENDER_ADMIN: "that of your mail administrator or provider",
    Who.RECIPIENT: "the recipient's",
    Who.RECIPIENT_ADMIN: "that of the mail administrator on the recipient's side",
    Who.UPSTREAM: "that of the people who run the mail server",
    Who.NETWORK: "nobody's yet; the network between the servers failed",
    Who.SOFTWARE: "that of whoever looks after the sending program",
    Who.NOBODY: "nobody's; this is temporary by design",
    Who.UNKNOWN: "not clear, the server does not say",
}

# Each phrase by its key. What stands for {blanks} is filled in; a translation must hold the same ones.
PHRASES: dict[str, str] = {
    "move": "Whose move: {who}.",
    **{f"who-{who}": words for who, words in _WHO.items()},
    "said": '{server} said: "{words}"',
    "silent": "{server} said nothing but this code",
    "the-server": "The server",
    "own-login": "This is about the relay's own login, in its settings: what is said of you is meant of the relay.",
    "tried": "The relay tried {count} times within {seconds} s.",
    "ref": "[ref {ref}]",
    "letter-failed": "Your mail of {time}{subject} did not reach everybody.",
    "letter-late": "Your mail of {time}{subject} has not reached everybody yet.",
    "letter-subject": 'with the subject "{subject}"',
    "letter-tries": "It was tried {count} times; the relay does not try again.",
    "letter-until": "The relay goes on trying until {time}; you need not send it again.",
    "letter-subject-failed": "Mail not delivered: {recipients}",
    "letter-subject-late": "Mail delayed: {recipients}",
    "letter-more": "{recipients} and {number} more",
    **_SEEN,
    **{f"fault-{fault}": fault.wording for fault in Fault},
    **{f"blank-{name}": words for name, words in FALLBACK.items()},
    "octets": "{number} bytes",
    "megabytes": "{number} MB",
    "number": "1,234.5",  # how numbers are written
    **{unit: unit for unit in ("second", "seconds", "minute", "minutes", "hour", "hours", "day", "days")},
    "whose-move": "Whose move:",
    "again": "Sending again unchanged:",
    "again-later": "may help later",
    "again-no": "does not help",
    "page": "page {page}, reason {reason}",
    "source": "source {source}",
    "again-by-code": "may help later if the code begins with 4",
    "heard": "What a mail program gets from the relay:",
    "book": "Why mail is refused",
    "about": "What mail servers say when they refuse a message, what it means, whose move it is, and what can be done.",
    "search": "Search a code, or words of the server",
    "found": "{number} of {count} pages",
    "contents": "Contents",
    "meaning": "What it means",
    "advice": "What you can do",
    "more": "For administrators",
    "examples": "What servers say",
    "previous": "Previous",
    "next": "Next",
    "retired": "This page is no longer in use: {why}",
}

_NUMBER = re.compile(r"1(\D?)234(\D)5")
_UNITS = ("second", "minute", "hour", "day")
_SPAN = re.compile(r"(\d{1,6}) ?(sec|second|min|minute|hour|day)s?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Phrases:
    """The fixed words in one language; those that nobody has translated are English."""

    language: str
    words: Mapping[str, str]

    def said(self, key: str, **blanks: str) -> str:
        """One phrase with its blanks filled in."""
        return self.words[key].format(**blanks)

    def opening(self, fault: Fault) -> str:
        """How a line begins that tells of a fault."""
        return self.words["refused-by-relay" if fault.ours else _SEEN_OF.get(fault, "no-reply")]

    def seen(self, fault: Fault, words: str, upstream: str) -> str:
        """What was seen, in this language.

        Args:
            fault: what it is called.
            words: what the log says of it, in English: the usual wording, or details.
            upstream: the name of the server behind us, where the words are not the usual ones.
        """
        if self.language == ENGLISH:
            return words
        before, _, after = fault.wording.partition("{upstream}")
        usual = len(words) >= len(before) + len(after) and words.startswith(before) and words.endswith(after)
        named = words[len(before) : len(words) - len(after)] if usual else upstream
        told = self.said(f"fault-{fault}", upstream=named or self.words["blank-upstream"])
        return told if usual else f"{told} ({words})"

    def span(self, words: str) -> str:
        """A time that a server names in English, such as "300 seconds"; other words stay as they are."""
        found = None if self.language == ENGLISH else _SPAN.fullmatch(words)
        if not found:
            return words
        unit = next(unit for unit in _UNITS if unit.startswith(found[2].lower()))
        return f"{found[1]} {self.words[unit if int(found[1]) == 1 else unit + 's']}"

    def number(self, value: float, digits: int = 0) -> str:
        """A number as people of this language write it."""
        sample = _NUMBER.fullmatch(self.words["number"])
        signs = {",": sample[1], ".": sample[2]} if sample else {}
        return "".join(signs.get(sign, sign) for sign in f"{value:,.{digits}f}")

    def octets(self, size: int) -> str:
        """A size as people say it."""
        if size >= 1_000_000:
            return self.said("megabytes", number=self.number(size / 1_000_000, 1))
        return self.said("octets", number=self.number(size))


IN_ENGLISH = Phrases(ENGLISH, PHRASES)
