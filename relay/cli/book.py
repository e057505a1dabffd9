"""`relay book`: the whole book for readers, and for translators what is left to do."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotation when it runs
from typing import Annotated

import typer


def book(
    *,
    house: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Your own pages too: a file, or a folder of files.")
    ] = None,
    untranslated: Annotated[
        str, typer.Option(metavar="de|fr|es", help="Print what is missing or stale in a language, as YAML to fill in.")
    ] = "",
) -> None:
    """Print the book of explanations."""
    from relay.cli.flags import language_named, refuse
    from relay.explain import BookError, shipped_chapters
    from relay.explain.reading import read_chapters, read_translation
    from relay.explain.untranslated import untranslated as left_over

    places = [place for place in (house, shipped_chapters()) if place is not None]
    language = language_named(untranslated)
    try:
        chapters = read_chapters(places)
        typer.echo(left_over(chapters, read_translation(places, language, chapters.pages)), nl=False)
    except (BookError, OSError) as error:
        refuse(error)
