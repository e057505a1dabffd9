"""Replies that no page names a reason for, counted by their form, each with a page to fill in."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relay.explain.form import Form
from relay.explain.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relay.explain.book import Book
    from relay.explain.failure import Failure

_Key = tuple[int, str | None, str]  # code, enhanced code, form


@dataclass(slots=True)
class Unexplained:
    """All replies of one form."""

    code: int
    status: str | None
    form: Form
    page: str  # the page that explains them now, by their code alone
    count: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    upstreams: Counter[str] = field(default_factory=Counter)

    def add(self, failure: Failure) -> None:
        """Count one more."""
        self.count += 1
        if failure.reply.phase:
            self.phases[failure.reply.phase] += 1
        if failure.upstream:
            self.upstreams[failure.upstream] += 1

    @property
    def skeleton(self) -> str:
        """A page to fill in, as YAML, that finds these replies and has an example; empty where there are no words."""
        if not self.form.pattern:
            return ""
        context = f"[phase={min(self.phases)}] " if self.phases else ""
        said = " ".join(filter(None, (str(self.code), self.status, self.form.example)))
        phases = [f"    phase: [{', '.join(sorted(self.phases))}]"] if self.phases else []
        return "\n".join(
            [
                f"- id: house-{self.code}-  # of your own: lower case and hyphens",
                "  reason: undefined  # or one of those that README.md beside the shipped chapters lists",
                '  title: ""',
                "  when:",
                *phases,
                f'    code: ["{self.code}"]',
                f"    text: ['{self.form.pattern.replace(chr(39), chr(39) * 2)}']",
                '  meaning: ""',
                '  advice: ""',
                f"  examples: [{json.dumps(context + said, ensure_ascii=False)}]",
            ]
        )


def unexplained(book: Book, failures: Iterable[Failure]) -> list[Unexplained]:
    """The forms of those replies that the book as it is today gives no reason for, most frequent first."""
    found: dict[_Key, Unexplained] = {}
    for failure in failures:
        explanation = book.explain(failure)
        reply = failure.reply
        if explanation.reason is not Reason.UNDEFINED or reply.fault is not None:
            continue
        form = Form.of(reply.text)
        key = (reply.code, reply.status, str(form).lower())
        found.setdefault(key, Unexplained(reply.code, reply.status, form, explanation.id)).add(failure)
    return sorted(found.values(), key=lambda group: -group.count)
