"""Try one scenario as a plain client would: one mail, line by line, every line shown to the caller."""

from __future__ import annotations

import base64
import socket
from dataclasses import dataclass
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING

from relay.practice.scenario import Behaviour
from relay.smtp import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from relay.practice.scenario import Scenario

# longer than the relay waits for its upstream, so that it is the relay who speaks; RFC 5321 section 4.5.3.2 asks for 10
# minutes after the final dot
_REPLY_SECONDS = 600.0
_CONNECT_SECONDS = 10.0
_NOBODY = "somebody@practice.example"
_BY_SENDER = frozenset({Phase.CONNECT, Phase.EHLO, Phase.MAIL})
_LINE_LIMIT = 65_536  # octets


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one attempt ended.

    Attributes:
        command: the last command that was sent, or "the greeting".
        code: the reply to it; 0 for a line that is no reply; None where the connection was closed instead.
    """

    command: str
    code: int | None

    @property
    def accepted(self) -> bool:
        """Whether the message was taken."""
        return self.code is not None and 200 <= self.code < 300

    def fits(self, code: int) -> bool:
        """Whether this is the code that was to come; a relay may say 421 for 451 if it closes, and the other way."""
        return self.code == code or {self.code, code} == {421, 451}


def attempt(
    address: tuple[str, int], scenario: Scenario, show: Callable[[str, str], None], seconds: float = _REPLY_SECONDS
) -> Verdict:
    """Send one mail that asks for the scenario, and stop at the first refusal.

    Args:
        address: host and port of the relay.
        scenario: what is asked for.
        show: is called for each line with ">" or "<" and the line; the password is masked.
        seconds: how long to wait for each reply.

    Raises:
        OSError: no connection came about.
    """
    with socket.create_connection(address, _CONNECT_SECONDS) as connection:
        connection.settimeout(seconds)
        return _Dialogue(connection, show).run(scenario)


def attempts(address: tuple[str, int], scenario: Scenario, show: Callable[[str, str], None]) -> Iterator[Verdict]:
    """Attempt as often as the scenario needs: once, or twice where it is about the second time.

    Raises:
        OSError: no connection came about.
    """
    first = attempt(address, scenario, show)
    yield first
    if _needs_another(scenario, first):
        yield attempt(address, scenario, show)


def _needs_another(scenario: Scenario, first: Verdict) -> bool:
    if scenario.behaviour is Behaviour.SECOND_TRY:
        return not first.accepted
    # A refusal in the greeting or at EHLO meets the connection after the one that asked for it. The relay opens that
    # one by itself; a client that speaks to the practice upstream directly has to.
    return scenario.phase in {Phase.CONNECT, Phase.EHLO} and not first.fits(scenario.code)


class _Dialogue:
    def __init__(self, connection: socket.socket, show: Callable[[str, str], None]) -> None:
        self._connection = connection
        self._replies = connection.makefile("rb")
        self._show = show

    def run(self, scenario: Scenario) -> Verdict:
        verdict = Verdict("the greeting", None)
        try:
            verdict = Verdict("the greeting", self._hear())
            for command, text, shown in _steps(scenario):
                if not verdict.code or verdict.code >= 400:
                    break
                verdict = Verdict(command, None)
                verdict = Verdict(command, self._say(text, shown))
            self._quit(verdict)
        except (OSError, EOFError) as error:
            self._show("", f"(connection closed: {error})")
        return verdict

    def _say(self, text: str, shown: str) -> int:
        for line in shown.split("\r\n"):
            self._show(">", line)
        self._connection.sendall(f"{text}\r\n".encode())
        return self._hear()

    def _hear(self) -> int:
        while line := self._replies.readline(_LINE_LIMIT):
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            self._show("<", "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text))
            if text[3:4] != "-":
                return int(text[:3]) if text[:3].isascii() and text[:3].isdigit() else 0
        raise EOFError("the server closed it")

    def _quit(self, verdict: Verdict) -> None:
        if verdict.code and verdict.command != "the greeting":
            self._say("QUIT", "QUIT")


def _steps(scenario: Scenario) -> Iterator[tuple[str, str, str]]:
    """Each command: its name, its text, and its text as it may be shown."""
    sender = scenario.address if scenario.phase in _BY_SENDER else _NOBODY
    recipient = scenario.address if scenario.phase not in {*_BY_SENDER, Phase.AUTH} else _NOBODY
    message = _message(sender, recipient, scenario)
    yield "EHLO", "EHLO try.localhost", "EHLO try.localhost"
    if scenario.phase is Phase.AUTH:
        token = base64.b64encode(f"\0{scenario.address}\0practice".encode()).decode()
        yield "AUTH", f"AUTH PLAIN {token}", f"AUTH PLAIN (user name {scenario.address}, password hidden)"
    yield "MAIL", f"MAIL FROM:<{sender}>", f"MAIL FROM:<{sender}>"
    yield "RCPT", f"RCPT TO:<{recipient}>", f"RCPT TO:<{recipient}>"
    yield "DATA", "DATA", "DATA"
    yield "the final dot", f"{message}\r\n.", f"{message}\r\n."


def _message(sender: str, recipient: str, scenario: Scenario) -> str:
    lines = (
        f"From: {sender}",
        f"To: {recipient}",
        f"Subject: practice: {scenario.name}",
        f"Date: {formatdate()}",
        f"Message-ID: {make_msgid(domain='practice.example')}",
        "",
        f"This mail asks for: {scenario.note}",
    )
    return "\r\n".join(lines)
