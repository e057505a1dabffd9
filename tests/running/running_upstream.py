"""A mail server that accepts everything, unless told to be slow, talkative, or to refuse logins."""

from __future__ import annotations

import socketserver
import threading
import time
from dataclasses import dataclass, field
from typing import cast

_EHLO = (
    b"250-upstream.example\r\n250-PIPELINING\r\n250-SIZE 200000000\r\n250 AUTH PLAIN LOGIN XOAUTH2 SCRAM-SHA-256\r\n"
)


@dataclass(slots=True)
class Conduct:
    """How the upstream behaves, and what it has seen."""

    verdict: threading.Event = field(default_factory=threading.Event)  # set: the reply to the message may go
    lines: list[bytes] = field(default_factory=list)  # every command heard
    size: int = 0  # octets of the last message, as they came
    slow_pieces: int = 0  # so many pieces of a message are read with a pause before each
    refuses_logins: bool = False
    mail_reply: bytes = b"250 2.1.0 Ok\r\n"
    message_reply: bytes = b"250 2.0.0 Ok: queued\r\n"
    mail_reply_times: int = 1  # how often mail_reply is sent in a row

    def heard(self, beginning: bytes) -> bool:
        """Whether a command with this beginning came."""
        return any(line.upper().startswith(beginning) for line in self.lines)


class Upstream(socketserver.ThreadingTCPServer):
    """Listens on a port of loopback that the system chooses; a thread for each connection."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self) -> None:
        self.conduct = Conduct()
        self.conduct.verdict.set()
        super().__init__(("127.0.0.1", 0), _Conversation)

    @property
    def url(self) -> str:
        return f"smtp+plain://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """A relay that is gone is no error here."""


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 upstream.example ESMTP\r\n")
        while line := self.rfile.readline().rstrip(b"\r\n"):
            self._conduct.lines.append(line)
            if not self._answer(line):
                return

    @property
    def _conduct(self) -> Conduct:
        return cast("Upstream", self.server).conduct

    def _answer(self, line: bytes) -> bool:
        verb = line[:4].upper()
        if verb == b"EHLO":
            self.wfile.write(_EHLO)
        elif verb == b"AUTH":
            self._log_in(line)
        elif verb == b"MAIL":
            self._reply_to_mail()
        elif verb == b"DATA":
            self._take_message()
        else:
            self.wfile.write(b"221 2.0.0 Bye\r\n" if verb == b"QUIT" else b"250 2.0.0 Ok\r\n")
        return verb != b"QUIT"

    def _reply_to_mail(self) -> None:
        for _ in range(self._conduct.mail_reply_times):
            self.wfile.write(self._conduct.mail_reply)

    def _log_in(self, line: bytes) -> None:
        words = line.split()
        if words[1].upper() == b"LOGIN":
            for challenge in (b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n")[len(words) - 2 :]:
                self.wfile.write(challenge)
                self._conduct.lines.append(self.rfile.readline().rstrip())
        elif len(words) == 2:
            self.wfile.write(b"334 \r\n")
            self._conduct.lines.append(self.rfile.readline().rstrip())
        refused = self._conduct.refuses_logins or words[1].upper().startswith(b"SCRAM")
        self.wfile.write(b"535 5.7.8 Bad credentials\r\n" if refused else b"235 2.7.0 Welcome\r\n")

    def _take_message(self) -> None:
        self.wfile.write(b"354 Go on\r\n")
        conduct, end, size = self._conduct, b"", 0
        while not end.endswith(b"\r\n.\r\n"):
            if conduct.slow_pieces:
                conduct.slow_pieces -= 1
                time.sleep(0.02)  # this is the slowness that is tested
            piece = self.connection.recv(1 << 18) if size else self.rfile.read1(1 << 18)
            if not piece:
                return
            size += len(piece)
            end = (end + piece)[-5:]
        conduct.size = size
        conduct.verdict.wait(30)
        self.wfile.write(conduct.message_reply)
