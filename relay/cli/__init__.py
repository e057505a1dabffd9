"""The command line: each command parses, calls, prints, and imports what it needs only when it is called."""

from __future__ import annotations

import os
import sys

import typer

from relay.cli.book import book
from relay.cli.check import check
from relay.cli.explain import explain
from relay.cli.health import health
from relay.cli.practice import practice
from relay.cli.queue import queue
from relay.cli.run import run
from relay.cli.trial import trial
from relay.cli.unexplained import unexplained

app = typer.Typer(
    name="relay",
    help="An SMTP relay that passes mail on live and explains every refusal.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(run)
app.command()(explain)
app.command()(check)
app.command()(book)
app.command()(unexplained)
app.command()(practice)
app.command("try")(trial)
app.command()(health)
app.add_typer(queue, name="queue")


def main() -> None:
    """Run the command that the arguments name."""
    _open_what_is_closed()
    app()


def _open_what_is_closed() -> None:
    """Let the three standard files be nowhere where they are closed: else their numbers become those of others."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))
