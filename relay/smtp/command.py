"""What a client says: MAIL and RCPT lines, read for display and for the relay's own rules, passed on byte for byte."""

from __future__ import annotations

import re
from typing import NamedTuple

# The path of nearly all mail, then any path with quoted strings in it, then the path without brackets of old printers.
# A tab is a blank between words, and a control octet within a path. The first holds no control octet anywhere.
_PLAIN = re.compile(rb"[ \t]*(<[^<>\"\\\x00-\x1f\x7f]*>)([ \t][^\x00-\x08\x0a-\x1f\x7f]*)?\Z")
_QUOTED = re.compile(rb"[ \t]*(<(?:[^<>\"\\\t]|\"(?:[^\"\\\t]|\\[^\t])*\"|\\[^\t])*>)([ \t].*)?$")
_BARE = re.compile(rb"[ \t]*([^\s<>\"]+)([ \t].*)?$")
_SOURCE_ROUTE = re.compile(rb"@[^:]*:")
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_SIZE = re.compile(rb"\sSIZE=(\d{1,20})(?:\s|$)", re.IGNORECASE)
_EIGHT_BIT = re.compile(rb"\sBODY=8BITMIME(?:\s|$)", re.IGNORECASE)
_UTF8 = re.compile(rb"\sSMTPUTF8(?:\s|$)", re.IGNORECASE)


class Path(NamedTuple):
    """The argument of a MAIL FROM or RCPT TO command (RFC 5321 section 4.1.2).

    `octets` is the path with its brackets, `parameters` all behind it, both as they came.
    """

    octets: bytes
    parameters: bytes = b""

    @property
    def address(self) -> str:
        """The address for people: without brackets and source route; "" is the null sender."""
        address = self.octets[1:-1]
        if address.startswith(b"@"):
            address = _SOURCE_ROUTE.sub(b"", address, count=1)
        return address.decode("utf-8", "replace")

    @property
    def wire(self) -> bytes:
        """Path and parameters as they came."""
        return self.octets + self.parameters

    @property
    def declared_size(self) -> int | None:
        """Octets the client announces with SIZE= (RFC 1870), or None."""
        found = _SIZE.search(self.parameters) if self.parameters else None
        return int(found[1]) if found else None

    @property
    def eight_bit(self) -> bool:
        """Whether the client declares BODY=8BITMIME (RFC 6152)."""
        return bool(self.parameters and _EIGHT_BIT.search(self.parameters))

    @property
    def utf8(self) -> bool:
        """Whether the client declares SMTPUTF8 (RFC 6531)."""
        return bool(self.parameters and _UTF8.search(self.parameters))


def parse_path(argument: bytes, keyword: bytes) -> Path | None:
    """Read `FROM:<a@b.c> SIZE=1` or `TO:<a@b.c>`; None where it is not of that form.

    Missing brackets are added and blanks around the keyword dropped: old appliances send neither as they should, and
    neither changes the address. Control octets are refused; whether 8-bit ones may stand here is the caller's rule.
    """
    if argument[: len(keyword)].upper() != keyword:
        argument = argument.lstrip(b" \t")
    if argument[: len(keyword)].upper() != keyword:
        return None
    behind = argument[len(keyword) :]
    found = _PLAIN.match(behind)
    if not found:
        if _FORBIDDEN.search(behind):
            return None
        found = _QUOTED.match(behind)
    if found:
        return Path(found[1], (found[2] or b"").rstrip())
    found = _BARE.match(behind)
    return Path(b"<" + found[1] + b">", (found[2] or b"").rstrip()) if found else None
