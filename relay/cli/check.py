"""`relay check`: whether the relay could start, from what, and (with --probe) whether the upstream would take mail."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.flags import (
    ConfigFlag,
    ListenFlag,
    LogFileFlag,
    LogFormatFlag,
    PracticeFlag,
    SetFlag,
    UpstreamFlag,
    gathered,
    refuse,
    settings_or_exit,
)

if TYPE_CHECKING:
    from relay.config import Listener, Settings
    from relay.explain import Book

_LISTENER_TLS = {
    "none": "no TLS",
    "starttls": "STARTTLS offered",
    "starttls-required": "STARTTLS demanded",
    "implicit": "TLS from the first octet",
}
_UPSTREAM_TLS = {
    "starttls": "STARTTLS demanded, certificate verified",
    "implicit": "TLS from the first octet, certificate verified",
    "plain": "never encrypted",
}


def check(  # noqa: PLR0913 -- a parameter for each flag
    *,
    config: ConfigFlag = None,
    listen: ListenFlag = None,
    upstream: UpstreamFlag = None,
    practice: PracticeFlag = False,
    log_format: LogFormatFlag = None,
    log_file: LogFileFlag = None,
    set_: SetFlag = None,
    probe: Annotated[bool, typer.Option("--probe", help="Also talk to the upstream, without sending mail.")] = False,
    prove: Annotated[
        bool, typer.Option("--book", help="Also prove each page: its form, its examples, its translations.")
    ] = False,
) -> None:
    """Check the settings and the book without starting anything.

    Status 0: the relay could start; 2: it could not; 1: it could, but --book found something to mend.
    """
    from relay.config import Flags

    given = gathered(config, Flags(tuple(listen or ()), upstream, practice, log_format, log_file, tuple(set_ or ())))
    typer.echo("\n".join(["settings read from", *(f"  {source}" for source in given.sources)]))
    settings = settings_or_exit(given)
    typer.echo("\n".join(_summary(settings)))
    typer.echo("settings: ok")
    book = _read(settings)
    typer.echo(f"book: {len(book.pages)} pages, ok")
    sound = not prove or _proved(settings, book)
    if probe and practice:
        typer.echo("--probe: the practice upstream runs only while the relay does; name one with --upstream", err=True)
        raise typer.Exit(2)
    if probe and not _probed(settings):
        raise typer.Exit(2)
    if not sound:
        raise typer.Exit(1)


def _summary(settings: "Settings") -> Iterator[str]:
    yield "listening on"
    for listener in settings.listen:
        yield f"  {listener.address}  {_LISTENER_TLS[listener.tls]}, for {_clients(listener)}"
    if settings.retrying:
        modes = sorted({settings.retry_mode(listener) for listener in settings.listen})
        kept = f", in {settings.database.url}" if settings.spooling else ""
        yield f"temporary failures\n  {' or '.join(modes)}{kept}"
    yield "passing mail on to"
    url, login = settings.upstream.url, settings.upstream.login
    if url is None:
        yield "  the built-in practice upstream"
        return
    unless = " (or plain, as it is this machine)" if url.loopback and url.security == "starttls" else ""
    who = f"logging in as {login.user}" if login else "with each client's own login"
    yield f"  {url}  {_UPSTREAM_TLS[url.security]}{unless}, {who}"


def _clients(listener: "Listener") -> str:
    return ", ".join(map(str, listener.allow)) or "everybody on this machine"


def _read(settings: "Settings") -> "Book":
    from relay.explain import BookError
    from relay.parts import read_book

    try:
        return read_book(settings)
    except (BookError, OSError) as error:
        refuse(error)


def _proved(settings: "Settings", book: "Book") -> bool:
    """Print what is to be mended in the pages, then how far each translation is; whether nothing is to be mended."""
    from relay.explain.proofs import form, unreachable

    mend = [*(why for page in book.pages for why in form(page)), *unreachable(book)]
    typer.echo("\n".join([f"{len(mend)} things to mend in the pages" if mend else "pages: proved", *mend]))
    typer.echo("\n".join(_translations(settings)) or "translations: complete")
    return not mend


def _translations(settings: "Settings") -> "Iterator[str]":
    from relay.explain import BookError
    from relay.explain.proofs import untold
    from relay.explain.reading import read_chapters, read_translation
    from relay.languages import ENGLISH, LANGUAGES
    from relay.parts import book_places

    places = book_places(settings)
    pages = read_chapters(places).pages
    for language in LANGUAGES:
        if language == ENGLISH:
            continue
        try:
            yield from untold(pages, read_translation(places, language, pages))
        except BookError as error:
            yield str(error)


def _probed(settings: "Settings") -> bool:
    import asyncio

    return asyncio.run(_probe(settings))


async def _probe(settings: "Settings") -> bool:
    """Print each step towards the upstream as it is taken; whether all of them succeeded."""
    from relay.explain import Failure
    from relay.parts import read_book, server_of
    from relay.upstream.probe import probe

    server = server_of(settings)
    async for step in probe(server):
        typer.echo(f"{'ok  ' if step.ok else 'FAIL'} {step.name}: {step.text}")
        if step.refusal is not None:
            told = read_book(settings).explain(
                Failure(step.refusal, upstream=server.host, login=server.login is not None)
            )
            typer.echo(f"\n{told.title}\n{told.meaning}\n{told.advice}")
            return False
    return True
