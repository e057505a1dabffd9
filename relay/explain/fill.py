"""The blanks of a page filled in: from what is known of the failure, and from the reply's own words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from relay.explain.words import clean, cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.explain.failure import Failure
    from relay.explain.phrases import Phrases

# Every placeholder a page may use, with the words that stand for it when nothing is known.
FALLBACK: dict[str, str] = {
    "recipient": "the recipient",
    "sender": "the sender",
    "user": "this account",
    "domain": "the recipient's domain",
    "sender_domain": "the sender's domain",
    "upstream": "the server",
    "address": "the sending server's IP address",
    "list": "a block list",
    "limit": "its limit",
    "size": "the message's size",
    "link": "the link in the server's reply",
    "wait": "some minutes",
    "name": "the name given",
    "new_address": "another address",
    "header": "a header line",
    "file": "a file of this kind",
    "count": "the number allowed",
}

_LONGEST = 64  # characters of one filled-in value; a link may be longer, cut it and it is worthless
_LONGEST_LINK = 160
_SEARCHED = 4_000  # characters of a reply in which values are looked for

# {recipient}, or {recipient|to the recipient}: with the words that stand here if the value is not known.
BLANK = re.compile(r"\{([a-z_]+)(?:\|([^{}\[\]]*))?\}")
_OPTIONAL = re.compile(r"\[([^\[\]]*\{[a-z_]+\}[^\[\]]*)\]")

# Where a page's own pattern did not name a value, the usual forms of it are looked for in the reply.
_USUAL_FORM: dict[str, re.Pattern[str]] = {
    "address": re.compile(
        r"(?<![\d.])((?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d))(?![\d.]*\d)"
        r"|(?<![\w:])((?:[0-9a-f]{1,4}:){2,7}:?[0-9a-f]{0,4}(?::[0-9a-f]{1,4}){0,5})(?![\w:])",
        re.IGNORECASE,
    ),
    "link": re.compile(r"(https?://[^\s<>\"'()\[\]]{4,300})", re.IGNORECASE),
    "list": re.compile(
        r"\b((?:[a-z0-9-]{1,40}\.){0,4}(?:spamhaus\.org|spamcop\.net|sorbs\.net|barracudacentral\.org|surriel\.com|abuseat\.org"
        r"|uceprotect\.net|invaluement\.com|mailspike\.net|spamrats\.com|s5h\.net|junkemailfilter\.com|uribl\.com|surbl\.org))"
        r"|\b(?:using|in|by|at|on|(?:black|block|deny) ?list:?) ((?:[a-z0-9-]{1,40}\.){1,4}[a-z]{2,12})\b",
        re.IGNORECASE,
    ),
    "wait": re.compile(
        r"\b(?:in|after|for|wait|within) (?:about |another |at least )?"
        r"(\d{1,6} ?(?:seconds?|secs?|minutes?|mins?|hours?|days?))\b",
        re.IGNORECASE,
    ),
    "limit": re.compile(
        r"(?:limit|maximum|max|exceeds?|larger than|allowed|up to)[^\d]{0,30}"
        r"(\d[\d.,]{0,12} ?(?:bytes|octets|[kmg]i?b?)?)\b",
        re.IGNORECASE,
    ),
}
_NO_LIST = re.compile(r"\.(?:com|de|co\.uk|html?|php|aspx?)$", re.IGNORECASE)


def fill(template: str, values: Mapping[str, str], phrases: Phrases) -> str:
    """The template with its placeholders replaced; a part in [brackets] is left out where a value in it is unknown."""
    if "{" not in template:
        return template
    known = _OPTIONAL.sub(lambda part: part[1] if _all_known(part[1], values) else "", template)
    return BLANK.sub(lambda blank: values.get(blank[1]) or blank[2] or phrases.words[f"blank-{blank[1]}"], known)


def blanks(template: str) -> frozenset[str]:
    """The names of the placeholders in a template."""
    return frozenset(blank[1] for blank in BLANK.finditer(template)) if "{" in template else frozenset()


def values_for(
    names: frozenset[str], captured: Mapping[str, str], failure: Failure, text: str, phrases: Phrases
) -> dict[str, str]:
    """What is known for each of `names`: from a pattern's named groups, the failure, the words of the reply."""
    found = {}
    for name in names:
        value = captured.get(name) or _of_failure(name, failure, phrases) or _of_text(name, text)
        if value:
            found[name] = _safe(name, phrases.span(value) if name == "wait" else value)
    return found


def _all_known(part: str, values: Mapping[str, str]) -> bool:
    return all(values.get(blank[1]) for blank in BLANK.finditer(part))


def _safe(name: str, value: str) -> str:
    return cut(clean(value), _LONGEST_LINK if name == "link" else _LONGEST)


def _of_failure(name: str, failure: Failure, phrases: Phrases) -> str:
    match name:
        case "recipient" | "sender" | "user" | "upstream":
            return getattr(failure, name) or ""
        case "domain":
            return _domain(failure.recipient)
        case "sender_domain":
            return _domain(failure.sender)
        case "size":
            return phrases.octets(failure.size) if failure.size else ""
        case "limit":
            # A limit that was not exceeded is not the one that the reply speaks of.
            return phrases.octets(failure.size_limit) if failure.size_limit and failure.over_limit is not False else ""
    return ""


def _of_text(name: str, text: str) -> str:
    form = _USUAL_FORM.get(name)
    found = form.search(text[:_SEARCHED]) if form else None
    if not found:
        return ""
    value = next(filter(None, found.groups()), "").rstrip(".,;:!?")
    return "" if name == "list" and _NO_LIST.search(value) else value


def _domain(path: str | None) -> str:
    return path.rpartition("@")[2] if path and "@" in path else ""
