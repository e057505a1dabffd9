"""`relay health`: whether the relay answers, for the health checks of containers and monitors."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.practice import address

if TYPE_CHECKING:
    from smtplib import SMTP

_SECONDS = 5.0


def health(
    relay: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the relay listens.")] = "127.0.0.1:2525",
) -> None:
    """Ask the running relay whether it answers: greeting, HELO, NOOP, QUIT within 5 seconds.

    Status 0: it does; 1: it does not. The upstream is not asked: a relay whose upstream is down still answers clients,
    and a restart would not help. `relay check --probe` asks the upstream.
    """
    host, port = address(relay)
    start = monotonic()
    try:
        name = _talk(host, port, start + _SECONDS)
    except OSError as error:  # smtplib's own errors are OSErrors too
        typer.echo(f"no relay serves at {relay}: {_seen(error)}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{relay} is healthy: {name} answered in {(monotonic() - start) * 1000:.0f} ms")


def _talk(host: str, port: int, deadline: float) -> str:
    """The name in the relay's reply to HELO, when all of its replies were as they should be.

    HELO, not EHLO: to answer EHLO the relay asks the upstream, which a check every few seconds must not cause.
    """
    from smtplib import SMTP

    client = SMTP(local_hostname="localhost", timeout=_SECONDS)
    try:
        _expect(220, client.connect(host, port))
        name = _expect(250, _in_time(client, deadline).helo())
        _expect(250, _in_time(client, deadline).noop())
        _expect(221, _in_time(client, deadline).quit())
    finally:
        client.close()
    return name.partition(" ")[0]


def _in_time(client: SMTP, deadline: float) -> SMTP:
    if client.sock is not None:
        client.sock.settimeout(max(deadline - monotonic(), 0.001))
    return client


def _expect(code: int, reply: tuple[int, bytes]) -> str:
    from smtplib import SMTPResponseException

    text = reply[1].decode("utf-8", "replace")
    if reply[0] != code:
        raise SMTPResponseException(reply[0], f"{text} ({code} was expected)")
    return text


def _seen(error: OSError) -> str:
    """What was seen, and the cure."""
    from smtplib import SMTPResponseException

    if isinstance(error, SMTPResponseException):
        words = " ".join(str(error.smtp_error).split())
        code = error.smtp_code if error.smtp_code > 0 else "not in SMTP:"
        return f"it answered {code} {words}. Is it the relay that listens there? Its log says why"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there. Start the relay, or say with --relay where it listens"
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return (
            f"no answer within {_SECONDS:g} seconds. Restart the relay if it hangs; "
            "on a listener with tls: implicit this check cannot speak: name another with --relay"
        )
    return f"{error}. Say with --relay where the relay listens, as HOST:PORT, and see its log"
