"""`relay queue`: what the spool keeps, and what is to be done with it; works while relays run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Coroutine  # noqa: TC003 -- typer reads annotations when it runs
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.flags import ConfigFlag, SetFlag, gathered, refuse, settings_or_exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.config import Settings
    from relay.retry.queue import Entry, Queue

queue = typer.Typer(no_args_is_help=True, help="Show and change what the spool keeps (retry.mode: spool).")

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Letters by their ids.", show_default=False)]
AllFlag = Annotated[bool, typer.Option("--all", help="All letters.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


class _States(StrEnum):
    queued = "queued"
    held = "held"
    stuck = "stuck"


StateFlag = Annotated[_States | None, typer.Option("--state", help="Only letters in this state.")]


@queue.command("list")
def list_(
    *, state: StateFlag = None, as_json: JsonFlag = False, config: ConfigFlag = None, set_: SetFlag = None
) -> None:
    """List the letters: id, age, state, tries, sender, recipients, and what was said last."""
    settings = _settings(config, set_)

    async def work(letters: Queue) -> None:
        count = 0
        async for entry in letters.entries(state=_state(state)):
            count += 1
            typer.echo(_json(entry) if as_json else "\n".join(_lines(entry)))
        if not as_json:
            typer.echo(f"{count} letters" if count else "the spool is empty")

    _run(settings, work)


@queue.command()
def show(
    letter: Annotated[str, typer.Argument(metavar="ID", help="The letter's id.")],
    *,
    as_json: JsonFlag = False,
    config: ConfigFlag = None,
    set_: SetFlag = None,
) -> None:
    """Show one letter: each recipient, what was said of it last, and what that means."""
    settings = _settings(config, set_)

    async def work(letters: Queue) -> None:
        async for entry in letters.entries(letter):
            typer.echo(_json(entry) if as_json else "\n".join((*_lines(entry), *_explained(settings, entry))))
            return
        refuse(LookupError(f"there is no letter {letter} in {settings.database.url}"))

    _run(settings, work)


_CHANGES = {
    "retry": "Try letters now, whatever the schedule says; held and stuck ones too.",
    "hold": "Let letters wait until they are released.",
    "release": "Let letters that were held (or are stuck) go their way again.",
    "drop": "Forget letters: they are not delivered, and nobody is told.",
}


def _command(verb: str) -> Callable[..., None]:
    def command(
        ids: Ids = None,
        *,
        all_: AllFlag = False,
        as_json: JsonFlag = False,
        config: ConfigFlag = None,
        set_: SetFlag = None,
    ) -> None:
        _change(_settings(config, set_), verb, ids, everything=all_, as_json=as_json)

    return command


for _verb, _help in _CHANGES.items():
    queue.command(_verb, help=_help)(_command(_verb))


def _change(settings: Settings, verb: str, ids: list[str] | None, *, everything: bool, as_json: bool) -> None:
    if bool(ids) is everything:
        refuse(ValueError(f"relay queue {verb}: name letters by their ids, or all of them with --all"))

    async def work(letters: Queue) -> None:
        changed = await _in_steps(letters, verb, tuple(ids or ()))
        missing = len(set(ids or ())) - changed if ids else 0
        typer.echo(json.dumps({"command": verb, "letters": changed}) if as_json else f"{verb}: {changed} letters")
        if missing:
            refuse(LookupError(f"{missing} of the letters named are not in {settings.database.url}"))

    _run(settings, work)


async def _in_steps(letters: Queue, verb: str, ids: tuple[str, ...]) -> int:
    """Change page by page, so that relays get their turn in between; how many letters were changed."""
    from relay.retry.queue import PAGE

    change, changed, page = getattr(letters, verb), 0, []
    total = await letters.count(*ids)
    with _progress(total) as advance:
        async for entry in letters.entries(*ids):
            page.append(entry.letter.id)
            if len(page) == PAGE:
                changed += await change(page)
                advance(len(page))
                page.clear()
        changed += await change(page) if page else 0
        advance(len(page))
    return changed


class _progress:  # noqa: N801 -- it reads as a function
    """A bar on a terminal, where there is enough to do."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        self._bar = Progress(console=Console(stderr=True), disable=total < 1000 or not sys.stderr.isatty())
        self._task = self._bar.add_task("letters", total=total)

    def __enter__(self) -> Callable[[int], None]:
        self._bar.start()
        return lambda count: self._bar.advance(self._task, count)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def _run(settings: Settings, work: Callable[[Queue], Coroutine[Any, Any, None]]) -> None:
    import asyncio

    from sqlalchemy.exc import SQLAlchemyError

    from relay.retry.queue import Queue
    from relay.store import StoreError, open_store, reason_of

    file = settings.database.url.file
    if file is not None and not file.exists():
        refuse(FileNotFoundError(f"there is no spool at {file.absolute()}; database.url names its place"))

    async def run() -> None:
        store = await open_store(settings.database.url)
        try:
            await work(Queue(store))
        finally:
            await store.close()

    try:
        asyncio.run(run())
    except StoreError as error:
        refuse(error)
    except BrokenPipeError:  # whoever reads what is printed has seen enough
        raise
    except (OSError, SQLAlchemyError) as error:
        refuse(OSError(f"the database {settings.database.url} failed: {reason_of(error)}"))


def _settings(config: Any, set_: list[str] | None) -> Settings:
    from relay.config import Flags

    return settings_or_exit(gathered(config, Flags(practice=True, set=tuple(set_ or ()))))  # needs no upstream


def _state(state: _States | None) -> Any:
    from relay.retry.letter import State

    return State(state.value) if state is not None else None


def _lines(entry: Entry) -> Iterator[str]:
    letter = entry.letter
    now = f"being delivered by {entry.owner}" if entry.owner else f"next try in {_time(entry.due_in)}"
    state = now if entry.state == "queued" else entry.state
    kind = "" if letter.kind == "mail" else f"{letter.kind}, "
    yield f"{letter.id}  {kind}{_time(letter.age)} old, {letter.attempts} tries, {letter.size} octets, {state}"
    yield f"  from <{letter.sender.address}>"
    for recipient in letter.recipients[:5]:
        yield f"  to <{recipient.path.address}>: {recipient.said.code} {' '.join(_words(recipient.said.lines))}"
    if len(letter.recipients) > 5:
        yield f"  and {len(letter.recipients) - 5} more recipients"


def _explained(settings: Settings, entry: Entry) -> Iterator[str]:
    from relay.explain import Failure
    from relay.explain.render import told_lines
    from relay.parts import read_book

    book, letter = read_book(settings), entry.letter
    for recipient in letter.recipients:
        failure = Failure(
            recipient.said, sender=letter.sender.address, recipient=recipient.path.address, size=letter.size, utf8=True
        )
        yield from ("", f"{recipient.path.address}:")
        yield from (f"  {line}" for line in told_lines(book.explain(failure), utf8=True))


def _json(entry: Entry) -> str:
    letter = entry.letter
    recipients = [
        {
            "recipient": each.path.address,
            "phase": each.said.phase,
            "code": each.said.code,
            "status": each.said.status,
            "fault": each.said.fault,
            "words": list(_words(each.said.lines)),
        }
        for each in letter.recipients
    ]
    facts: dict[str, Any] = {"id": letter.id, "kind": letter.kind, "state": entry.state}
    facts |= {"sender": letter.sender.address, "size": letter.size, "age": round(letter.age, 1)}
    facts |= {"attempts": letter.attempts, "due_in": round(entry.due_in, 1), "owner": entry.owner}
    return json.dumps(facts | {"recipients": recipients})


def _words(lines: tuple[bytes, ...]) -> Iterator[str]:
    for line in lines:
        yield "".join(letter if letter.isprintable() else "?" for letter in line.decode("utf-8", "replace"))


def _time(seconds: float) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"
