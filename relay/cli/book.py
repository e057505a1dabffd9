"""`relay book`: the whole book for readers, and for translators what is left to do."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotation when it runs
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.flags import HouseFlag, LanguageFlag  # noqa: TC001 - typer reads the annotation when it runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.edition.entries import Edition


def book(
    pages: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PAGE]...", help="Ids of pages, as the log names them (with --untranslated also files)."
        ),
    ] = None,
    *,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="DIR", help="Write the book for a browser into this folder.")
    ] = None,
    language: LanguageFlag = "en",
    house: HouseFlag = None,
    untranslated: Annotated[
        str, typer.Option(metavar="de|fr|es", help="Print what a translation lacks or has stale, as YAML to fill in.")
    ] = "",
) -> None:
    """Print the book of explanations."""
    from relay.cli.flags import refuse

    try:
        if untranslated:
            typer.echo(_left_over(untranslated, pages or [], house), nl=False)
        elif html:
            typer.echo(_written(html, language, house))
        else:
            typer.echo("\n".join(_text(pages or [], language, house)))
    except (ValueError, OSError) as error:
        refuse(error)


def _left_over(untranslated: str, only: list[str], house: Path | None) -> str:
    from relay.cli.flags import book_places, language_named
    from relay.explain.reading import read_chapters, read_translation
    from relay.explain.untranslated import untranslated as left_over

    places, language = book_places(house), language_named(untranslated, "--untranslated")
    chapters = read_chapters(places)
    return left_over(chapters, read_translation(places, language, chapters.pages), only)


def _written(folder: Path, language: str, house: Path | None) -> str:
    from relay.edition.html import write_html

    count = write_html(_edition(language, house), folder)
    return f"{count} pages written; open {folder / 'index.html'}"


def _text(ids: list[str], language: str, house: Path | None) -> Iterator[str]:
    from relay.edition.text import as_text, entry_as_text
    from relay.explain.chapter import nearest

    edition = _edition(language, house)
    if not ids:
        yield from as_text(edition)
        return
    entries = {entry.page.id: entry for entry in edition.entries}
    for page in ids:
        if page not in entries:
            raise ValueError(f"the book has no page {page!r}{nearest(page, entries)}")
        yield from (*entry_as_text(entries[page]), "")


def _edition(language: str, house: Path | None) -> Edition:
    from relay.cli.flags import book_places, language_named
    from relay.edition.entries import read_edition

    return read_edition(book_places(house), language_named(language))
