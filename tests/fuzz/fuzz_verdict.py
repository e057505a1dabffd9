"""The judge of the fuzzed dialogue: may this reply stand here?

A reply of the relay must be the upstream's own to that very command, or a refusal of the relay's own that the client
has earned, or the report of a trouble that was there. A success for a message must be the upstream's, and the upstream
must have the message: once, octet for octet, for those recipients that the client was told.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzz_client import Item
    from fuzz_upstream import Record, Said

MAX_RECIPIENTS, MAX_ERRORS, MAX_OCTETS = 5, 8, 4_000  # the limits of the relay that is tested

_OWN_REFUSAL = b"This relay refused it"
_PASSED_ON = ("MAIL", "RCPT", "DATA", "CHUNK", "MESSAGE", "AUTH", "RSET")
_OWN = {"EHLO": 250, "HELO": 250, "NOOP": 250, "VRFY": 252, "HELP": 214, "RSET": 250, "QUIT": 221, "CONNECT": 220}
_NOT_SERVED = ("EXPN", "ETRN", "TURN", "ATRN", "SEND", "SOML", "SAML", "XCLIENT", "XFORWARD", "BURL", "STARTTLS")
_PATH = re.compile(rb"(FROM|TO):<[a-z0-9]*@?[a-z.]*>(?: [A-Z0-9=]+)*", re.IGNORECASE)
_KEYWORDS = {b"FROM": "MAIL", b"TO": "RCPT"}


class Conversation:
    """What a client may think of its conversation with the relay, reply by reply."""

    def __init__(self, record: Record) -> None:
        self.mode = "line"  # what the client's next octets are: a line, a message, an answer to a login's challenge
        self.mail = b""  # the mail that the upstream has accepted last
        self.messages: dict[bytes, bytes] = {}  # clean and complete, by mail
        self.confirmed: list[bytes] = []  # mails the client holds for delivered
        self.dismissed = False  # the relay has said its last word
        self.waited = False  # for so long that patience may have been lost on any side
        self._record = record
        self._hello = self._logged_in = False
        self._login_troubles = 0  # how many there had been then: what carries a login is not replaced in silence
        self._open = False  # a mail transaction is open
        self._unsure = False  # it may have been lost
        self._accepted: set[bytes] = set()
        self._named = 0
        self._chunks: list[bytes] = []
        self._spoilt: set[int] = set()  # what the mail was refused for by the relay, while it goes on
        self._troubles = 0  # how many there had been when the mail began
        self._errors = 0

    def text_of(self, item: Item) -> bytes:
        """The message that this item completes."""
        return b"".join(self._chunks) + item.octets if item.chunk else item.octets

    def dismiss(self, wire: bytes) -> None:
        """Hear a 421: the last word, for a reason."""
        assert not self.dismissed, f"{wire!r} after the last word"
        said = any(one.code == 421 for every in self._record.said.values() for one in every)
        tired = self._errors + 1 >= MAX_ERRORS
        lost = self._logged_in and b" 4.4.2 " in wire
        assert said or self.waited or tired or lost, f"dismissed without a reason: {wire!r}"
        self.dismissed = True

    def hear(self, item: Item, code: int, wire: bytes) -> None:
        """Hear the reply to an item."""
        assert not self.dismissed, f"{wire!r} after the last word"
        assert all(len(line) <= 510 and line.isascii() and line.decode().isprintable() for line in wire.splitlines())
        self._name(item)
        self._judge(item, code, wire)
        self._learn(item, code)
        self._errors += code // 100 == 5 and _OWN_REFUSAL in wire
        if code == 421:
            self.dismiss(wire)
        self.dismissed = self.dismissed or item.verb == "QUIT"

    def _name(self, item: Item) -> None:
        """Give it the mail it belongs to, which is known now that all before it is answered."""
        if item.verb in ("DATA", "MESSAGE"):
            item.key = (item.verb, self.mail)
        elif item.verb == "CHUNK":
            item.key = (item.verb, b"%s-%d" % (self.mail, len(self._chunks) + 1))

    def _said_to(self, item: Item) -> list[Said]:
        """What the upstream may have said to it."""
        said = self._record.said.get(item.key, []) if item.verb in _PASSED_ON else []
        if item.verb in ("MESSAGE", "CHUNK") or not self._record.early:
            return said
        # Said before a command came, but heard behind it: no relay can tell, nor that from then on each reply answers
        # the command before. Of a message it must not be believed.
        return [*self._record.early, *chain.from_iterable(self._record.said.values())]

    def _judge(self, item: Item, code: int, wire: bytes) -> None:
        said = self._said_to(item)
        told = f"{wire!r} answers {item}; the upstream said {said}"
        if code < 400:
            assert code == _OWN.get(item.verb) or wire in [one.wire for one in said], (
                f"a success that nobody gave: {told}"
            )
            if item.verb == "MESSAGE":
                self._believe(item)
        elif code not in [one.code for one in said]:
            assert code in self._deserved(item), f"a code that nobody gave: {told}"

    def _believe(self, item: Item) -> None:
        """The client holds its message for delivered: so it must be."""
        delivered, text = self._record.delivered[self.mail], self.text_of(item)
        assert len(delivered) == 1, f"{self.mail!r} came {len(delivered)} times"
        assert delivered[0].text == text, f"{delivered[0].text!r} came for {text!r}"
        assert delivered[0].recipients == self._accepted, f"{delivered[0].recipients} for {self._accepted}"
        self.confirmed.append(self.mail)

    def _deserved(self, item: Item) -> set[int]:
        """The codes of the relay's own that this may be answered with now; 421 is judged apart."""
        begun = item.troubles if item.verb in ("MAIL", "AUTH", "EHLO") else min(item.troubles, self._troubles)
        begun = min(begun, self._login_troubles) if self._logged_in else begun
        troubled = {451} if self.waited or self._record.troubles > begun else set()
        return self._faults_of(item) | self._openings(item) | troubled | {421}

    def _openings(self, item: Item) -> set[int]:
        """What the upstream refused a new connection with: it is told to those who wait for one."""
        if item.verb not in _PASSED_ON:
            return set()
        opening = [said for key, said in self._record.said.items() if key[0] in ("CONNECT", "EHLO", "HELO")]
        return {one.code for said in opening for one in said if one.code >= 400}

    def _faults_of(self, item: Item) -> set[int]:
        out_of_turn = {503} if not self._open or self._unsure else set()
        path = _PATH.fullmatch(item.argument)
        malformed = set() if path and _KEYWORDS[path[1].upper()] == item.verb else {501, 553}
        match item.verb:
            case "MAIL":
                return malformed | ({503} if not self._hello or self._open or self._unsure else set())
            case "RCPT":
                full = {452} if self._named >= MAX_RECIPIENTS else set()
                return malformed | out_of_turn | full | self._spoilt
            case "DATA":
                nobody = {554} if not self._accepted else set()
                return out_of_turn | nobody | self._spoilt | ({501} if item.argument else set())
            case "CHUNK" | "MESSAGE":
                return self._faults_of_text(item) | (out_of_turn | self._spoilt if item.chunk else set())
            case "AUTH":
                wrong_time = not self._hello or self._open or self._unsure or self._logged_in
                return {501, 504} | ({503} if wrong_time else set())
        return _OTHERS.get(item.verb, {500})

    def _faults_of_text(self, item: Item) -> set[int]:
        too_big = {552} if len(self.text_of(item)) > MAX_OCTETS else set()
        nobody = {554} if item.chunk and not self._accepted else set()
        hellos = [one for key, said in self._record.said.items() if key[0] == "EHLO" for one in said]
        unknown = {502} if item.chunk and any(b"CHUNKING" not in one.wire for one in hellos) else set()
        return too_big | nobody | unknown | (set() if item.clean else {550})

    def _learn(self, item: Item, code: int) -> None:
        said = self._record.said.get(item.key, [])
        own = code >= 400 and code not in [one.code for one in self._said_to(item)]
        self.mode = {354: "message", 334: "login"}.get(code, self.mode)
        match item.verb:
            case "MAIL":
                self._begin(item, code, own=own)
            case "RCPT":
                self._named += 1
                self._accepted |= {item.key[1]} if code < 400 else set()
            case "EHLO" | "HELO" if code < 400:
                self._hello, self._open, self._unsure = True, False, False
            case "CHUNK" if said:
                self._chunks.append(item.octets)
            case "RSET" | "MESSAGE":
                self._end(item, code, own=own)
            case "AUTH":
                # A mail that was lost with its upstream is forgotten now.
                self._unsure = self._unsure or (self._open and self._record.troubles > self._troubles)
                if code // 100 == 2:  # 235 should be said, but the first digit decides (RFC 5321 section 4.2)
                    self._logged_in, self._login_troubles = True, item.troubles
        if own and item.verb in ("RCPT", "DATA", "CHUNK"):
            self._unsure = self._unsure or code in (451, 554)
            self._spoilt |= {code} if code in (550, 552) else set()

    def _end(self, item: Item, code: int, *, own: bool) -> None:
        if item.verb == "MESSAGE" and own and code in (502, 503, 554):  # a chunk that came out of turn
            self._unsure = True
            return
        if item.verb == "MESSAGE" and item.clean:
            self.messages[self.mail] = self.text_of(item)
        self._open, self._unsure = False, code >= 400 and item.verb == "RSET"

    def _begin(self, item: Item, code: int, *, own: bool) -> None:
        if code >= 400:
            if code == 451 or not own:  # the upstream has no other mail then
                self._open = False
            self._unsure = self._unsure or self._open  # it may have been lost with its upstream, and is forgotten now
            return
        self._open, self._unsure, self.mail = True, False, item.key[1]
        self._accepted, self._named, self._chunks, self._spoilt = set(), 0, [], set()
        self._troubles = item.troubles


_OTHERS = {
    **{verb: set[int]() for verb in _OWN},
    **{verb: {502} for verb in _NOT_SERVED},
    "EHLO": {501},
    "HELO": {501},
    "BDAT": {501},
}
