"""What RFC 5321 makes of message data and of a reply, octet by octet: the oracle of the fuzz tests.

Nothing here is shared with the relay, and nothing is clever: one octet is looked at after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

_CR, _LF, _DOT, _NUL, _SPACE, _HYPHEN = 0x0D, 0x0A, 0x2E, 0x00, 0x20, 0x2D


@dataclass(frozen=True, slots=True)
class Message:
    """What a receiver makes of the octets behind 354 (RFC 5321 sections 4.1.1.4 and 4.5.2)."""

    ended: bool  # CRLF.CRLF came
    used: int  # octets up to there, or all
    text: bytes  # the message: without transparency, without the final dot
    bare: bool  # a CR or LF stands alone in it
    nul: bool  # a NUL stands in it

    @property
    def clean(self) -> bool:
        """Whether it may be passed on as it is."""
        return not self.bare and not self.nul


def read_message(octets: bytes) -> Message:
    """Read message data up to its end, if that comes."""
    text = bytearray()
    line_begins = True
    at, count = 0, len(octets)
    while at < count:
        octet = octets[at]
        if line_begins and octet == _DOT:
            if octets[at + 1 : at + 3] == b"\r\n":
                return Message(True, at + 3, bytes(text), has_bare_newline(octets[: at + 3]), _NUL in text)
            at += 1  # transparency: the first dot of a line is not part of it
            if at == count:
                break
            octet = octets[at]
        line_begins = octet == _LF and at > 0 and octets[at - 1] == _CR
        text.append(octet)
        at += 1
    return Message(False, count, bytes(text), has_bare_newline(octets), _NUL in text)


def has_bare_newline(octets: bytes) -> bool:
    """Whether a CR or an LF stands in these octets that is no half of a CRLF."""
    for at, octet in enumerate(octets):
        if octet == _CR and octets[at + 1 : at + 2] != b"\n":
            return True
        if octet == _LF and (at == 0 or octets[at - 1] != _CR):
            return True
    return False


def mended(text: bytes) -> bytes:
    """The same message with each CR or LF that stands alone made a CRLF."""
    out = bytearray()
    for at, octet in enumerate(text):
        if octet == _CR:
            out += b"\r\n"
        elif octet == _LF:
            if at == 0 or text[at - 1] != _CR:
                out += b"\r\n"
        else:
            out.append(octet)
    return bytes(out)


def ends_for_somebody(octets: bytes) -> bool:
    """Whether any server, however lenient with line ends, would see the end of a message in these octets."""
    line: bytearray = bytearray()
    for octet in octets:
        if octet in (_CR, _LF):
            if bytes(line) == b".":
                return True
            line.clear()
        elif octet != _NUL:
            line.append(octet)
    return False


@dataclass(frozen=True, slots=True)
class Replies:
    """What a strict reader makes of a server's octets (RFC 5321 section 4.2)."""

    heard: tuple[tuple[int, tuple[bytes, ...]], ...]  # the replies before anything that is none
    wires: tuple[bytes, ...]  # their octets as they came
    garbled: bool  # something came that is none
    unfinished: bytes  # the octets behind the last reply, if nothing is garbled


def read_replies(octets: bytes) -> Replies:
    """Read replies until the octets end or something comes that is no reply. Limits of size are not looked at."""
    heard: list[tuple[int, tuple[bytes, ...]]] = []
    wires: list[bytes] = []
    lines: list[bytes] = []
    code, begin, line_begin, at = 0, 0, 0, 0
    while at < len(octets):
        if octets[at] != _CR or octets[at + 1 : at + 2] != b"\n":
            at += 1
            continue
        line = octets[line_begin:at]
        line_code = _code_of(line)
        if line_code is None or (lines and line_code != code):
            return Replies(tuple(heard), tuple(wires), True, b"")
        code = line_code
        lines.append(line[4:])
        at += 2
        line_begin = at
        if len(line) == 3 or line[3] == _SPACE:
            heard.append((code, tuple(lines)))
            wires.append(octets[begin:at])
            lines = []
            begin = at
    return Replies(tuple(heard), tuple(wires), b"\n" in octets[line_begin:], octets[begin:])  # no line can end so


def _code_of(line: bytes) -> int | None:
    """The code of a line of a reply; None if it is none."""
    if len(line) < 3 or (len(line) > 3 and line[3] not in (_SPACE, _HYPHEN)):
        return None
    first, second, third = line[0] - 0x30, line[1] - 0x30, line[2] - 0x30
    if not (2 <= first <= 5 and 0 <= second <= 9 and 0 <= third <= 9):
        return None
    if _CR in line or _LF in line:
        return None
    return first * 100 + second * 10 + third
