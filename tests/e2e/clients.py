"""Real mail programs, each driven as its manual says, behind one face: send one mail, show what it printed."""

from __future__ import annotations

import shlex
import smtplib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .programs import program, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail: who to whom, the message with CRLF line ends, and the login to send it with, if any."""

    sender: str
    recipient: str
    message: bytes
    login: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: whether the program took it for a success, and everything it printed."""

    sent: bool
    output: str


def mail(token: str, recipient: str = "bob@corp.example", sender: str = "alice@corp.example") -> Mail:
    """A small whole message that holds the token, to be found again in a mailbox."""
    lines = (f"From: <{sender}>", f"To: <{recipient}>", f"Subject: {token}", f"Message-ID: <{token}@corp.example>")
    head = "\r\n".join((*lines, "Date: Mon, 23 Nov 2026 09:00:00 +0000"))
    return Mail(sender, recipient, f"{head}\r\n\r\nHello Bob.\r\n".encode())


def swaks(mail: Mail, port: int) -> Outcome:
    return _swaks(mail, port)


def swaks_pipelining(mail: Mail, port: int) -> Outcome:
    """Sends MAIL, RCPT and DATA in one go where the server offers PIPELINING (RFC 2920)."""
    return _swaks(mail, port, "--pipeline")


def _swaks(mail: Mail, port: int, *options: str) -> Outcome:
    login = ("--auth", "--auth-user", mail.login[0], "--auth-password", mail.login[1]) if mail.login else ()
    envelope = ("--server", f"127.0.0.1:{port}", "--from", mail.sender, "--to", mail.recipient)
    # --no-data-fixup leaves the message as it is: the dot that ends it is ours to give.
    message = ("--data", "-", "--no-data-fixup")
    return _run((program("swaks"), *envelope, *message, *options, *login), mail.message + b".\r\n")


def curl(mail: Mail, port: int) -> Outcome:
    login = ("--user", ":".join(mail.login)) if mail.login else ()
    envelope = ("--url", f"smtp://127.0.0.1:{port}", "--mail-from", mail.sender, "--mail-rcpt", mail.recipient)
    return _run((program("curl"), "--verbose", *envelope, "--upload-file", "-", *login), mail.message)


def msmtp(mail: Mail, port: int) -> Outcome:
    login = ("--auth=off",)
    if mail.login:
        user, password = mail.login
        login = ("--auth=plain", f"--user={user}", f"--passwordeval=printf %s {shlex.quote(password)}")
    server = ("--file=/dev/null", "--host=127.0.0.1", f"--port={port}", "--tls=off")
    return _run((program("msmtp"), *server, *login, f"--from={mail.sender}", "--", mail.recipient), mail.message)


def nodemailer(mail: Mail, port: int) -> Outcome:
    if not (HERE / ".cache/node_modules/nodemailer").exists():
        unavailable("nodemailer is not installed (.ci/install-system-packages does it)")
    server = ("127.0.0.1", str(port), mail.sender, mail.recipient, *(mail.login or ()))
    return _run((program("node"), str(HERE / "nodemailer_client.js"), *server), mail.message)


def smtp_source(mail: Mail, port: int) -> Outcome:
    """Postfix's own load generator: knows no login, writes its own line ends, adds an empty line at the end."""
    envelope = ("-f", mail.sender, "-t", mail.recipient, "-F", "/dev/stdin", f"127.0.0.1:{port}")
    return _run((program("smtp-source"), *envelope), mail.message.replace(b"\r\n", b"\n"))


def python_smtplib(mail: Mail, port: int) -> Outcome:
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=30) as server:
            if mail.login:
                server.login(*mail.login)
            server.sendmail(mail.sender, mail.recipient, mail.message)
    except smtplib.SMTPRecipientsRefused as refused:
        return Outcome(sent=False, output="\n".join(_words(*reply) for reply in refused.recipients.values()))
    except smtplib.SMTPResponseException as refused:
        return Outcome(sent=False, output=_words(refused.smtp_code, refused.smtp_error))
    return Outcome(sent=True, output="")


CLIENTS: Mapping[str, Callable[[Mail, int], Outcome]] = {
    "swaks": swaks,
    "swaks --pipeline": swaks_pipelining,
    "curl": curl,
    "msmtp": msmtp,
    "nodemailer": nodemailer,
    "smtp-source": smtp_source,
    "smtplib": python_smtplib,
}


def _run(command: tuple[str, ...], message: bytes) -> Outcome:
    done = subprocess.run(command, input=message, capture_output=True, check=False, timeout=30)
    return Outcome(sent=done.returncode == 0, output=(done.stdout + done.stderr).decode())


def _words(code: int, text: bytes | str) -> str:
    return f"{code} {text.decode() if isinstance(text, bytes) else text}"
