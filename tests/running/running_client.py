"""A client that says exactly what it is told, octet for octet, and reads whole replies."""

from __future__ import annotations

import socket
import ssl
from typing import NamedTuple, Self


class Answer(NamedTuple):
    """One reply: its code, and all of it as it came."""

    code: int
    text: str


class Client:
    """A connection to the relay; closed at the end of a `with`."""

    def __init__(self, address: tuple[str, int], seconds: float = 8) -> None:
        self.sock = socket.create_connection(address, timeout=seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a piece said is a piece sent
        self._file = self.sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.sock.close()

    def say(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.sock.sendall(octets)

    def hear(self) -> Answer:
        """Read one reply."""
        lines = [self._file.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(self._file.readline())
        assert lines[-1].endswith(b"\r\n"), lines
        return Answer(int(lines[0][:3]), b"".join(lines).decode())

    def ask(self, line: str) -> Answer:
        """Say one line, read its reply."""
        self.say(line.encode() + b"\r\n")
        return self.hear()

    def closed(self) -> bool:
        """Wait until the relay closes; False if it says something instead."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def greet(self) -> Answer:
        """Hear the greeting and say EHLO; the reply to that."""
        assert self.hear().code == 220
        return self.ask("EHLO client.example")

    def shake_hands(self) -> None:
        """TLS from here on; whose certificate it is does not matter to these tests."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._file.close()
        self.sock = context.wrap_socket(self.sock)
        self._file = self.sock.makefile("rb")

    @property
    def certificate(self) -> bytes | None:
        """What the relay has shown in the handshake (DER)."""
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.sock.getpeercert(binary_form=True)

    def begin_mail(self, recipient: str = "you@there.example") -> None:
        """MAIL and RCPT, both accepted."""
        assert self.ask("MAIL FROM:<me@here.example>").code == 250
        assert self.ask(f"RCPT TO:<{recipient}>").code == 250

    def begin_message(self) -> None:
        """MAIL, RCPT, DATA: the relay waits for the message."""
        self.begin_mail()
        assert self.ask("DATA").code == 354

    def send_mail(self, message: bytes = b"Subject: x\r\n\r\nHello.\r\n") -> Answer:
        """A whole mail; the verdict on it."""
        self.begin_message()
        self.say(message + b".\r\n")
        return self.hear()


def assert_explained(answer: Answer, code: int, status: str) -> None:
    """A refusal with its codes on every line, that says whose move it is and bears its reference."""
    assert answer.code == code, answer
    lines = answer.text.splitlines()
    assert all(line[4:].startswith(status + " ") for line in lines), answer
    assert "Whose move: " in answer.text, answer
    assert "[ref " in lines[-1], answer
