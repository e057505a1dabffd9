"""Other people's words made safe: no control characters, no hidden directions, one line, and ASCII where it must be."""

from __future__ import annotations

import re
import unicodedata

from relay.languages import ENGLISH

# Everything that could add a line, an escape sequence or another reading direction, or hide what is there: controls
# (C0, DEL, C1), zero-width characters, line and paragraph separators, bidi marks and isolates, BOM, variation
# selectors, surrogates, private use, tag characters.
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffc\ud800-\uf8ff\U000e0000-\U0010ffff]+"
)

# What NFKD cannot take apart, spelled as people do; German umlauts as German clerks write them.
_SPELLED = str.maketrans(
    {
        "ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ẞ": "SS",
        "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D",
        "þ": "th", "Þ": "Th", "ł": "l", "Ł": "L", "\u0131": "i", "ħ": "h", "Ħ": "H",
        "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u2032": "'", "\u00b4": "'",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u201f": '"', "\u00ab": '"', "\u00bb": '"', "\u2033": '"',
        "\u2039": "'", "\u203a": "'",
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2015": "-", "\u2212": "-",
        "\u2022": "*", "\u00b7": "*", "\u2192": "->", "\u20ac": "EUR", "\u00a9": "(c)", "\u00ae": "(R)", "\u00d7": "x",
    }
)  # fmt: skip


def clean(text: str) -> str:
    """One line of visible characters: every unsafe run and every run of blanks becomes one space."""
    if text.isascii() and text.isprintable():
        if "  " not in text and text.strip() == text:  # as nearly all are
            return text
    else:
        text = _UNSAFE.sub(" ", text)
        text = "".join(char if char.isprintable() else " " for char in text)  # code points that nobody has assigned
    return " ".join(text.split())


# Elsewhere two dots part vowels (Citroën, vergüenza) and are left out; Spanish opens a question with a sign of its own.
_BARE = str.maketrans({"ä": "a", "ö": "o", "ü": "u", "Ä": "A", "Ö": "O", "Ü": "U", "¿": "", "¡": ""})
_WITHOUT_UMLAUTS = frozenset({"fr", "es"})


def fold(text: str, language: str = ENGLISH) -> str:
    """ASCII of the same meaning where there is one, "?" where there is none; spelled as readers of `language` do."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFC", text)
    if language in _WITHOUT_UMLAUTS:
        text = text.translate(_BARE)
    spelled = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    bare = "".join(char for char in spelled if not unicodedata.combining(char))
    return " ".join(clean(bare.encode("ascii", "replace").decode("ascii")).split())


def straight_quotes(text: str) -> str:
    """The same text with typographic quotes and dashes as typewriters had them, so that one pattern finds both."""
    return text if text.isascii() else text.translate(_QUOTES)


_QUOTES = str.maketrans("\u2018\u2019\u201a\u201c\u201d\u201e\u2013\u2014", "'''\"\"\"--")


def without_names(text: str) -> str:
    """The text with mail addresses, and the host names that servers put before an IP address or in <>, made neutral.

    So `<mailbox-full@example.net>` is not read as "mailbox full". Lists and links are named otherwise and stay.
    """
    return _HOST.sub("x.xx", _ADDRESS.sub("x@x.xx", text))


# delist@ is the address by which Microsoft's block-list replies are known.
_ADDRESS = re.compile(
    r"(?!delist@)[^\s<>()\"',;:\[\]/=?&]{1,128}(?:@|%40)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,9}", re.IGNORECASE
)
_HOST = re.compile(
    r"(?<=<)(?:[a-z0-9_-]{1,63}\.){1,8}[a-z]{2,24}(?=[>\[])|\b(?:[a-z0-9_-]{1,63}\.){1,8}[a-z]{2,24}(?=\[\d)",
    re.IGNORECASE,
)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, cut at a word where one ends in the last third; "..." stands for what is missing."""
    if len(text) <= limit:
        return text
    if limit <= 3:
        return "..."[:limit]
    kept = text[: limit - 3]
    blank = kept.rfind(" ")
    return (kept[:blank] if blank > limit * 2 // 3 else kept).rstrip() + "..."
