"""`relay book`: the whole book for readers, and for translators what is left to do."""

from __future__ import annotations

from typing import Annotated

import typer

from relay.cli.flags import HouseFlag  # noqa: TC001 - typer reads the annotation when it runs


def book(
    *,
    house: HouseFlag = None,
    untranslated: Annotated[
        str, typer.Option(metavar="de|fr|es", help="Print what is missing or stale in a language, as YAML to fill in.")
    ] = "",
) -> None:
    """Print the book of explanations."""
    from relay.cli.flags import book_places, language_named, refuse
    from relay.explain import BookError
    from relay.explain.reading import read_chapters, read_translation
    from relay.explain.untranslated import untranslated as left_over

    places = book_places(house)
    language = language_named(untranslated)
    try:
        chapters = read_chapters(places)
        typer.echo(left_over(chapters, read_translation(places, language, chapters.pages)), nl=False)
    except (BookError, OSError) as error:
        refuse(error)
