"""`relay try`: send a mail that meets a scenario of the practice upstream, and show what a mail program would hear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.practice import address, print_scenarios

if TYPE_CHECKING:
    from rich.console import Console

    from relay.practice.scenario import Scenario
    from relay.practice.trial import Verdict

_STYLES = {"2": "green", "3": "green", "4": "yellow", "5": "red"}


def trial(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A scenario, such as mailbox-full or user-unknown@outlook.example.")
    ] = "",
    relay: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the relay listens.")] = "127.0.0.1:2525",
    *,
    listing: Annotated[bool, typer.Option("--list", help="List every scenario and stop.")] = False,
) -> None:
    """Send a test mail through the running relay that meets one refusal of the practice upstream.

    Shows the whole dialogue (`>` what the client says, `<` what it hears). Exit code 0 if the expected reply came.
    """
    if listing:
        print_scenarios()
        return
    from rich.console import Console

    scenario = _scenario(name)
    verdicts = _dialogue(Console(highlight=False, markup=False, soft_wrap=True), address(relay), scenario)
    met = _met(scenario, verdicts)
    typer.echo(_conclusion(scenario, verdicts[-1], met=met))
    raise typer.Exit(0 if met else 1)


def _scenario(name: str) -> Scenario:
    from difflib import get_close_matches

    from relay.practice.scenarios import all_scenarios, find

    if scenario := find(name):
        return scenario
    known = {each.name: None for each in all_scenarios()}
    near = get_close_matches(name.lower().rpartition("@")[0] or name.lower(), known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    wrong = f"There is no scenario {name!r}. {hint}" if name else "Say which scenario, such as mailbox-full. "
    typer.echo(f"{wrong}`relay try --list` shows them all.", err=True)
    raise typer.Exit(2)


def _dialogue(console: Console, relay: tuple[str, int], scenario: Scenario) -> tuple[Verdict, ...]:
    from relay.practice.trial import attempts

    def show(side: str, line: str) -> None:
        style = _STYLES.get(line[:1], "red") if side == "<" else "cyan" if side else "dim"
        console.print(f"{side} {line}".strip(), style=style)

    verdicts: list[Verdict] = []
    try:
        for verdict in attempts(relay, scenario, show):
            verdicts.append(verdict)
            console.print()
    except OSError as error:
        host, port = relay
        typer.echo(
            f"The relay cannot be reached at {host}:{port} ({error}). "
            "Start it with `make run`, or say with --relay where it listens.",
            err=True,
        )
        raise typer.Exit(1) from None
    return tuple(verdicts)


def _met(scenario: Scenario, verdicts: tuple[Verdict, ...]) -> bool:
    from relay.practice.scenario import Behaviour

    if scenario.behaviour is Behaviour.SECOND_TRY:
        return verdicts[0].fits(scenario.code) and verdicts[-1].accepted
    return verdicts[-1].fits(scenario.code)


def _conclusion(scenario: Scenario, last: Verdict, *, met: bool) -> str:
    heard = f"the answer was {last.code}" if last.code else "no SMTP reply came"
    if met:
        return f"As expected, {heard} at {last.command} ({scenario.provider}). {scenario.note}"
    return f"Not as expected: {heard} at {last.command}, and {scenario.code} was to come. {_cure(scenario, last)}"


def _cure(scenario: Scenario, last: Verdict) -> str:
    if scenario.expect:
        return "A relay answers for a broken server by itself; is it the relay that listens there?"
    if last.accepted:
        return "Is it the practice upstream that the relay passes mail to? `make run` starts both."
    return "The lines above say why."
