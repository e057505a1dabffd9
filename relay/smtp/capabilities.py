"""What a server offers in its EHLO reply, and what the relay may truthfully offer of it (RFC 5321 section 4.1.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

from relay.smtp.reply import sound

# Passed on with the upstream's own value: the relay hands these parameters through byte for byte.
_PASSED = (
    b"8BITMIME", b"SMTPUTF8", b"DSN", b"ENHANCEDSTATUSCODES", b"CHUNKING", b"DELIVERBY",
    b"FUTURERELEASE", b"MT-PRIORITY", b"LIMITS",
)  # fmt: skip
# Exchanges that mean the same through a relay. Those bound to the TLS channel (-PLUS, EXTERNAL) or to a service name
# (GSSAPI) would speak of the wrong connection.
_MECHANISMS = (
    b"PLAIN", b"LOGIN", b"CRAM-MD5", b"XOAUTH2", b"OAUTHBEARER", b"SCRAM-SHA-1", b"SCRAM-SHA-256",
    b"DIGEST-MD5", b"NTLM",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Capabilities:
    """The extensions a server offers: keyword in upper case -> its parameters as they came.

    Two are never equal, so that what follows from one can be remembered under it.
    """

    keywords: dict[bytes, bytes]

    @classmethod
    def of_ehlo(cls, lines: tuple[bytes, ...]) -> Capabilities:
        """Read the lines of a good EHLO reply; the first names the server. `AUTH=` is an old spelling of `AUTH `.

        A line that may not stand in a reply (RFC 5321 section 4.1.1.1: printable ASCII) offers nothing.
        """
        keywords: dict[bytes, bytes] = {}
        for line in filter(sound, map(bytes.strip, lines[1:])):
            said = b"AUTH " + line[5:] if line[:5].upper() == b"AUTH=" else line
            keyword, _, value = said.partition(b" ")
            keywords.setdefault(keyword.upper(), value.strip())
        return cls(keywords)

    def __contains__(self, keyword: bytes) -> bool:
        return keyword in self.keywords

    @property
    def size_limit(self) -> int | None:
        """The largest message in octets (RFC 1870), or None where no limit is named."""
        value = self.keywords.get(b"SIZE", b"")
        return int(value) or None if value.isdigit() and len(value) < 20 else None

    @property
    def most_mails(self) -> int | None:
        """How many mails one connection may carry (MAILMAX, RFC 9422 section 4), or None where no limit is named."""
        for limit in self.keywords.get(b"LIMITS", b"").upper().split():
            name, _, value = limit.partition(b"=")
            if name == b"MAILMAX" and value.isdigit() and len(value) <= 6:  # RFC 9422 section 2
                return int(value) or None
        return None

    @property
    def mechanisms(self) -> tuple[bytes, ...]:
        """The login mechanisms that can be passed through a relay (RFC 4954)."""
        offered = self.keywords.get(b"AUTH", b"").upper().split()
        return tuple(mechanism for mechanism in _MECHANISMS if mechanism in offered)

    def passed_on(self, *, tls: bool, chunking: bool = True) -> tuple[bytes, ...]:
        """The EHLO lines that the relay takes over as they are; REQUIRETLS only where the way behind us has TLS."""
        keywords = (*_PASSED, b"REQUIRETLS") if tls else _PASSED
        offered = (word for word in keywords if word in self.keywords and (chunking or word != b"CHUNKING"))
        return tuple((word + b" " + self.keywords[word]).rstrip() for word in offered)


NOTHING = Capabilities({})
