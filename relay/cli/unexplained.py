"""`relay unexplained`: the refusals in a log that the book gives no reason for, each form with a page to fill in."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotation when it runs
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.flags import HouseFlag  # noqa: TC001 - typer reads the annotation when it runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.explain import Failure
    from relay.explain.unexplained import Unexplained
    from relay.record.past import Tally

_SHOWN = 200  # characters of a form in the line above its page


def unexplained(
    logs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[LOG]...", help="Logs in JSON, compressed ones too; without any, standard input."),
    ] = None,
    *,
    house: HouseFlag = None,
    most: Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many forms are shown.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List the refusals that the book, as it is now, gives no reason for: by their form, most frequent first.

    What is printed is a chapter to fill in: a page for each form, ready but for its words.
    """
    from relay.cli.flags import read_book_or_exit, refuse
    from relay.explain.unexplained import unexplained as grouped
    from relay.record.past import Tally

    book, tally = read_book_or_exit(house), Tally()
    try:
        groups = grouped(book, _failures(logs or [], tally))
    except OSError as error:
        refuse(error)
    if tally.lines and tally.other == tally.lines:
        refuse(ValueError("found no line of JSON; the relay writes such a log with `log.format: json`"))
    for line in map(_object, groups[:most]) if as_json else _chapter(groups, tally, most):
        typer.echo(line)


def _failures(logs: list[Path], tally: Tally) -> Iterator[Failure]:
    from relay.explain import Reason
    from relay.record.past import opened, read_failures

    if not logs:
        yield from read_failures(sys.stdin.buffer, Reason.UNDEFINED, tally)
    for log in logs:
        with opened(log) as lines:
            yield from read_failures(lines, Reason.UNDEFINED, tally)


def _chapter(groups: list[Unexplained], tally: Tally, most: int) -> Iterator[str]:
    count = sum(group.count for group in groups)
    yield f"# {tally.refusals} refusals read; {count} of them, in {len(groups)} forms, have no reason in the book."
    if len(groups) > most:
        yield f"# The {most} most frequent forms follow; --top shows more."
    for group in groups[:most]:
        yield f"\n# {group.count} x {_told(group)}"
        yield group.skeleton or "# Without words nothing can be told from this; the code alone is explained."


def _told(group: Unexplained) -> str:
    from relay.explain.words import cut

    said = " ".join(filter(None, (str(group.code), group.status, cut(str(group.form), _SHOWN))))
    at = f", at {', '.join(group.phases)}" if group.phases else ""
    by = f", from {', '.join(name for name, _ in group.upstreams.most_common(3))}" if group.upstreams else ""
    return f"{said}{at}{by}; now {group.page}"


def _object(group: Unexplained) -> str:
    return json.dumps(
        {
            "count": group.count,
            "code": group.code,
            "status": group.status,
            "form": str(group.form),
            "phases": dict(group.phases),
            "upstreams": dict(group.upstreams),
            "page": group.page,
            "skeleton": group.skeleton,
        },
        ensure_ascii=False,
    )
