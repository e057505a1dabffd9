"""`relay practice`: run the practice upstream alone, or list what it can refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from relay.practice.scenario import Scenario
    from relay.smtp import Phase

_HEADINGS = {
    "connect": "In the greeting (named by the sender address; the next connection is refused)",
    "ehlo": "At EHLO (named by the sender address; the next connection is refused)",
    "auth": "At the login (named by the user name)",
    "mail": "At MAIL (named by the sender address)",
    "rcpt": "At RCPT (named by the recipient address)",
    "data": "At DATA (named by the recipient or the sender address)",
    "message": "After the final dot (named by the recipient or the sender address)",
}


def address(text: str) -> tuple[str, int]:
    """Read `host:port`, where the host may be an IPv6 address in brackets.

    Raises:
        typer.BadParameter: the text is not of that form.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise typer.BadParameter(f"{text!r} is not an address; write host:port, such as 127.0.0.1:2526 or [::1]:2526")
    return host.removeprefix("[").removesuffix("]"), int(port)


def practice(
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to listen; loopback only. Port 0 picks a free one.")
    ] = "127.0.0.1:2526",
    *,
    listing: Annotated[bool, typer.Option("--list", help="List every scenario and stop.")] = False,
) -> None:
    """Run a mail server that refuses by name, in the words of many providers.

    Mail to mailbox-full@gmail.example is refused as Google would; mail to other addresses is accepted and discarded.
    """
    if listing:
        print_scenarios()
        return
    import asyncio

    host, port = address(listen)
    try:
        asyncio.run(_serve(host, port))
    except (OSError, ValueError) as error:
        typer.echo(
            f"The practice upstream cannot listen on {listen}: {error}. Name another address with --listen.", err=True
        )
        raise typer.Exit(1) from None


async def _serve(host: str, port: int) -> None:
    import asyncio
    import logging
    import signal
    from contextlib import suppress

    from relay.practice import start

    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's; what matters is reported by ourselves
    server = await start(host, port, report=typer.echo)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C ends asyncio.run by itself
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    bound_host, bound_port = server.address
    typer.echo(f"The practice upstream listens on {bound_host}:{bound_port}; Ctrl-C stops it.")
    typer.echo("`relay practice --list` shows what can be asked for.")
    await stop.wait()
    await server.close()
    typer.echo(f"Stopped. Messages accepted and discarded: {server.accepted}.")


def print_scenarios() -> None:
    """Print every scenario by phase: the address that asks for it, its code, and what it shows."""
    from rich.console import Console

    from relay.practice.scenarios import all_scenarios
    from relay.smtp import Phase

    console = Console(highlight=False, soft_wrap=True)
    for phase in Phase:
        if scenarios := tuple(each for each in all_scenarios() if each.phase is phase):
            _print_phase(console, phase, scenarios)
    console.print("With any other domain, the first scenario of that name is played.")


def _print_phase(console: Console, phase: Phase, scenarios: tuple[Scenario, ...]) -> None:
    from rich.table import Table

    if not console.is_terminal:  # a line for each, for grep and for scripts
        for each in scenarios:
            typer.echo(f"{phase}\t{each.address}\t{each.code}\t{each.note}")
        return
    table = Table(title=_HEADINGS[phase], title_justify="left", box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("code")
    table.add_column("what it shows")
    for each in scenarios:
        table.add_row(each.address, str(each.code), each.note)
    console.print(table)
    console.print()
