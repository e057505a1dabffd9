"""The flags that override settings, the same for every command that reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Never

import typer

if TYPE_CHECKING:
    from relay.config import Flags, Gathered, Settings
    from relay.explain import Book

ConfigFlag = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The settings. Without it: ./relay.yaml or /etc/explaining-relay/relay.yaml, if there is one.",
    ),
]
ListenFlag = Annotated[
    list[str] | None,
    typer.Option("--listen", metavar="HOST:PORT", help="Listen here instead; may be given several times."),
]
UpstreamFlag = Annotated[
    str | None,
    typer.Option("--upstream", metavar="URL", help="The server behind, such as smtp://mail.example.com:587."),
]
PracticeFlag = Annotated[
    bool,
    typer.Option("--practice", help="Start the built-in practice upstream and pass mail on to that."),
]
LogFormatFlag = Annotated[
    str | None,
    typer.Option("--log-format", metavar="console|json", help="What a log line looks like."),
]
LogFileFlag = Annotated[
    str | None,
    typer.Option("--log-file", metavar="PATH", help="Append the log to this file."),
]
SetFlag = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any other setting; may be given several times."),
]
HouseFlag = Annotated[
    Path | None, typer.Option("--house", metavar="PATH", help="Your own pages too: a file, or a folder of files.")
]
LanguageFlag = Annotated[str, typer.Option("--language", metavar="en|de|fr|es", help="The language of the words.")]


def language_named(name: str, flag: str = "--language") -> str:
    """The language of that name; one the book does not speak ends the command with status 2."""
    from relay.languages import LANGUAGES

    if name not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise typer.BadParameter(f"found {name!r}, expected one of {known}", param_hint=flag)
    return name


def book_places(house: Path | None) -> tuple[Path, ...]:
    """Where chapters are read from."""
    from relay.explain import shipped_chapters

    return (house, shipped_chapters()) if house else (shipped_chapters(),)


def read_book_or_exit(house: Path | None, language: str = "en") -> Book:
    """The book; where it cannot be read, every mistake is printed and the command ends with status 2."""
    from relay.explain import BookError
    from relay.kept import read_book

    try:
        return read_book(*book_places(house), language=language_named(language))
    except (BookError, OSError) as error:
        refuse(error)


def gathered(config: Path | None, flags: Flags) -> Gathered:
    """What file, environment and flags say, not judged yet."""
    from relay.config import gather

    return gather(config, flags, os.environ)


def settings_or_exit(gathered: Gathered) -> Settings:
    """The settings; where they cannot be used, every mistake is printed and the command ends with status 2."""
    from relay.config import SettingsError

    try:
        return gathered.settings()
    except SettingsError as error:
        refuse(error)


def refuse(error: Exception, status: int = 2) -> Never:
    """Print what is wrong, and end: nothing was started. 2 is a mistake, 1 what may go away without anybody's doing."""
    typer.echo(str(error), err=True)
    raise typer.Exit(status)
