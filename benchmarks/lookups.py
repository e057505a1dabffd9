"""What an explanation costs: microseconds for each look-up in the book, alone and with the reply that is made of it."""

from __future__ import annotations

import csv
import time
from typing import TYPE_CHECKING

from benchmarks.figures import Figure
from relay.explain import Book, Failure, render, shipped_chapters
from relay.explain.heard import example, reply_from
from relay.smtp import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_AT_LEAST_SECONDS = 0.2  # for one measurement: short enough for a quick run, long beside the clock's resolution


def measure(times: int, replies: Path | None = None) -> dict[str, Figure]:
    """Look up the book's own examples, or the replies of a file, so many times."""
    book = Book.read(shipped_chapters())
    failures = read_replies(replies) if replies else examples(book)
    what = f"{len(failures)} {'replies of a file' if replies else 'examples of the book'}"

    def look_up(failure: Failure) -> None:
        book.explain(failure)

    def answer(failure: Failure) -> None:
        render(book.explain(failure), ref="7K3QF2")

    return {
        f"look-up, {what}, µs each": _microseconds(look_up, failures, times),
        f"look-up and reply, {what}, µs each": _microseconds(answer, failures, times),
    }


def examples(book: Book) -> tuple[Failure, ...]:
    """What the pages bring as their own examples."""
    return tuple(example(written) for page in book.pages if not page.retired for written in page.examples)


def read_replies(file: Path) -> tuple[Failure, ...]:
    """The replies of a file: tab-separated, the names of its columns first; `text` is needed, `code`, `ecode`, `phase`
    may be there, others are passed over.

    Raises:
        ValueError: there is no such column, or no reply.
    """
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        if "text" not in (rows.fieldnames or ()):
            raise ValueError(f"{file}, line 1: found the columns {rows.fieldnames or []}, expected one named text")
        found = tuple(Failure(reply_from(_whole(row), _phase(row.get("phase")))) for row in rows)
    if not found:
        raise ValueError(f"{file}: found no reply below the names of the columns, expected one or more")
    return found


def _whole(row: dict[str, str | None]) -> str:
    return " ".join(filter(None, (row.get("code"), row.get("ecode"), row.get("text"))))


def _phase(name: str | None) -> Phase | None:
    return Phase(name) if name in frozenset(Phase) else None


def _microseconds(call: Callable[[Failure], None], failures: Sequence[Failure], times: int) -> Figure:
    for failure in failures:  # what is compiled or remembered at the first time is no part of each look-up
        call(failure)
    return Figure.of(_one(call, failures) for _ in range(times))


def _one(call: Callable[[Failure], None], failures: Sequence[Failure]) -> float:
    start, calls = time.perf_counter(), 0
    while (took := time.perf_counter() - start) < _AT_LEAST_SECONDS:
        for failure in failures:
            call(failure)
        calls += len(failures)
    return took / calls * 1e6
