"""Talking SMTP to the relay line by line, and what an explained refusal must look like."""

from __future__ import annotations

import base64
import smtplib
from dataclasses import dataclass

WHOSE_MOVE = "Whose move: "


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply: its code, and its lines without the code."""

    code: int
    lines: tuple[str, ...]

    @property
    def statuses(self) -> frozenset[str]:
        """The first word of each line: the enhanced code, which every line must carry."""
        return frozenset(line.partition(" ")[0] for line in self.lines)

    @property
    def text(self) -> str:
        """The words of all lines, without the enhanced code, as one sentence after the other."""
        return " ".join(line.partition(" ")[2] for line in self.lines)


class Dialogue(smtplib.SMTP):
    """smtplib's client, whose replies are given as they came."""

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", port, timeout=30)
        self.ehlo("client.example")

    def ask(self, command: str) -> Answer:
        """Send one command line and read its reply."""
        return _answer(self.docmd(command))

    def hear(self) -> Answer:
        """Read the reply to what was sent before."""
        return _answer(self.getreply())

    def say_mail(self, sender: str, parameters: str = "") -> Answer:
        return self.ask(f"MAIL FROM:<{sender}>{parameters}")

    def say_rcpt(self, recipient: str) -> Answer:
        return self.ask(f"RCPT TO:<{recipient}>")

    def say_data(self, message: bytes) -> Answer:
        """Send the message with its dots doubled; the answer is the verdict after the final dot."""
        return _answer(self.data(message))

    def log_in(self, user: str, password: str) -> Answer:
        """One try of AUTH PLAIN (RFC 4616); smtplib's own `login` goes through all mechanisms."""
        return self.ask("AUTH PLAIN " + plain(user, password))


def plain(user: str, password: str) -> str:
    """The one message of the mechanism PLAIN, in base64."""
    return base64.b64encode(f"\0{user}\0{password}".encode()).decode()


def assert_explained(answer: Answer, code: int, status: str, words: str) -> None:
    """The refusal keeps its codes, says whose move it is, and quotes the server.

    Args:
        answer: what the client was told.
        code: the basic code the server gave.
        status: the enhanced code the server gave.
        words: a part of the server's own words.
    """
    assert answer.code == code, answer
    assert answer.statuses == {status}, answer
    assert len(answer.lines) > 1, answer
    assert WHOSE_MOVE in answer.text, answer
    assert words in answer.text, answer
    assert "[ref " in answer.lines[-1], answer
    assert all(len(line) + len("550-\r\n") <= 512 for line in answer.lines), answer


def _answer(reply: tuple[int, bytes]) -> Answer:
    code, text = reply
    return Answer(code, tuple(text.decode("utf-8").split("\n")))
