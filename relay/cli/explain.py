"""`relay explain`: a code, a reply, a bounce or a log line, explained as the relay would explain it."""

from __future__ import annotations

import gc
import json
import sys
import textwrap
from dataclasses import replace
from pathlib import Path  # noqa: TC003 - typer reads the annotation when it runs
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.flags import HouseFlag, LanguageFlag  # noqa: TC001 - typer reads the annotation when it runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from relay.explain import Book, Explanation, Failure
    from relay.smtp import Phase

_PHASES = {"data-end": "message", "end": "message", "dot": "message"}  # other names of the same step
_YES_NO = {"yes": True, "true": True, "no": False, "false": False}


def explain(  # noqa: PLR0913 - one parameter for each option of the command
    text: Annotated[
        str | None, typer.Argument(help='A code ("421"), a reply, a log line; "-" or nothing reads standard input.')
    ] = None,
    *,
    phase: Annotated[
        str | None,
        typer.Option(help="The step: connect, ehlo, starttls, auth, mail, rcpt, data, message (after the dot)."),
    ] = None,
    upstream: Annotated[str | None, typer.Option(metavar="HOST", help="The server that said it.")] = None,
    login: Annotated[str | None, typer.Option(metavar="yes|no", help="Whether the client had logged in.")] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="A file with a bounce, a log or a reply.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help='JSON lines in and out: {"id","reply","phase","upstream","login"}.')
    ] = False,
    language: LanguageFlag = "en",
    house: HouseFlag = None,
) -> None:
    """Explain an SMTP reply: what happened, whose move it is, and what to do."""
    from relay.cli.flags import read_book_or_exit

    gc.disable()  # nothing of a book is garbage, and to look for it takes a tenth of the time
    book = read_book_or_exit(house, language)
    gc.enable()
    if batch:
        raise typer.Exit(_explain_lines(book, sys.stdin))
    try:
        failures = _failures(_heard(text, file), {"phase": phase, "upstream": upstream, "login": login})
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    for number, failure in enumerate(failures):
        explanation = book.explain(failure)
        typer.echo(json.dumps(_object(explanation), ensure_ascii=False) if as_json else _told(explanation, number))


def _heard(text: str | None, file: Path | None) -> str:
    """What is to be explained: the argument, the file, or standard input."""
    if file:
        try:
            return file.read_text("utf-8", "replace")
        except OSError as error:
            raise typer.BadParameter(f"cannot read {file}: {error.strerror}", param_hint="--file") from None
    if text is not None and text != "-":
        return text.replace("\\n", "\n")
    if text is None and sys.stdin.isatty():
        raise typer.BadParameter('nothing to explain; for example: relay explain "550 5.1.1 User unknown"')
    return sys.stdin.read()


def _failures(text: str, given: dict[str, Any]) -> tuple[Failure, ...]:
    """One reply if the text begins with one, else every reply found in it, else the text as words without a code."""
    from relay.explain import Failure
    from relay.explain.heard import reply_from

    reply = reply_from(text.strip())
    if not reply.code or len(text.strip().splitlines()) > 1:
        from relay.explain.excerpt import failures_in

        found = failures_in(text)
        if found and (len(found) > 1 or not reply.code):
            return tuple(_with(failure, given) for failure in found)
    return (_with(Failure(reply), given),)


def _with(failure: Failure, given: dict[str, Any]) -> Failure:
    """The failure with what the caller knows better.

    Raises:
        ValueError: a phase or a yes-or-no is none.
    """
    phase = _phase(given.get("phase")) or failure.reply.phase
    return replace(
        failure,
        reply=failure.reply._replace(phase=phase),
        upstream=given.get("upstream") or failure.upstream,
        login=_yes_no(given.get("login")),
    )


def _phase(name: object) -> Phase | None:
    """The phase of that name; None for "any", "local", nothing and names that nobody knows."""
    from relay.smtp import Phase

    known = str(name or "").strip().lower()
    known = _PHASES.get(known, known)
    return Phase(known) if known in frozenset(Phase) else None


def _yes_no(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if str(value).lower() not in _YES_NO:
        raise ValueError(f"login: found {value!r}, expected yes or no")
    return _YES_NO[str(value).lower()]


def _explain_lines(book: Book, lines: Iterable[str]) -> int:
    """Explain JSON lines; a bad one is answered with an error object that names it. Returns the exit code."""
    failed = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            answer = _answer(book, json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            failed = 1
            answer = {"error": f"line {number}: {_why(error)}", "line": number}
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    return failed


def _answer(book: Book, given: object) -> dict[str, Any]:
    from relay.explain import Failure
    from relay.explain.heard import reply_from

    if not isinstance(given, dict) or not isinstance(given.get("reply"), str):
        raise TypeError('expected an object with "id" and "reply", both text')
    failure = _with(Failure(reply_from(given["reply"])), given)
    return {"id": given.get("id"), **_object(book.explain(failure))}


def _why(error: Exception) -> str:
    return f"not JSON: {error}" if isinstance(error, json.JSONDecodeError) else str(error)


def _object(explanation: Explanation) -> dict[str, Any]:
    return {
        "page": explanation.id,
        "reason": explanation.reason,
        "who": explanation.who,
        "retry": explanation.retry,
        "title": explanation.title,
        "meaning": explanation.meaning,
        "advice": explanation.advice,
        "lines": list(_lines(explanation)),
    }


def _lines(explanation: Explanation) -> Iterator[str]:
    """The SMTP reply a client would get, a line each."""
    from relay.explain import render_lines

    failure = explanation.failure
    if not failure.reply.code:  # words without a code: no server would send them, so 554 stands in
        explanation = replace(explanation, failure=replace(failure, reply=failure.reply._replace(code=554)))
    return (line.decode("utf-8") for line in render_lines(explanation))


def _told(explanation: Explanation, number: int) -> str:
    """The whole page, for a person at a terminal."""
    said, phrases = explanation.failure.reply, explanation.phrases
    heard = f"{said.code or ''} {said.status or ''} {said.text}".split()
    parts = [
        *(["", "-" * 60] if number else []),
        textwrap.shorten(" ".join(heard), 300),
        "",
        explanation.title,
        "",
        f"{phrases.said('whose-move')} {phrases.said(f'who-{explanation.who}')}",
        f"{phrases.said('again')} {phrases.said(f'again-{explanation.retry}')}",
        "",
        textwrap.fill(explanation.meaning, 78),
        "",
        textwrap.fill(explanation.advice, 78),
        *(["", textwrap.fill(explanation.more, 78)] if explanation.more else []),
        "",
        phrases.said("page", page=explanation.id, reason=explanation.reason),
        *([phrases.said("source", source=explanation.page.source)] if explanation.page.source else []),
        "",
        phrases.said("heard"),
        *(f"  {line}" for line in _lines(explanation)),
    ]
    return "\n".join(parts)
