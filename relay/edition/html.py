"""The book as pages for a browser: from a folder, without a server, without anything from elsewhere. Home of jinja2."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup

if TYPE_CHECKING:
    from pathlib import Path

    from relay.edition.entries import Edition, Entry

_ID = re.compile(r"[a-z0-9-]+")
_LINK = re.compile(r"https?://[^\s<>\"')]+[^\s<>\"').,;:]")


def write_html(edition: Edition, folder: Path) -> int:
    """Write the book into a folder, `index.html` first; returns how many pages it has.

    Raises:
        ValueError: the id of a page cannot be the name of a file.
        OSError: the folder cannot be written.
    """
    entries = edition.entries
    for entry in entries:
        if not _ID.fullmatch(entry.page.id):
            raise ValueError(f"page {entry.page.id!r}: expected an id of lower case letters, digits and hyphens")
    (folder / "page").mkdir(parents=True, exist_ok=True)
    printer = _Printer(edition)
    (folder / "index.html").write_text(printer.contents(), "utf-8")
    for index, entry in enumerate(entries):
        near = (entries[index - 1] if index else None, entries[index + 1] if index + 1 < len(entries) else None)
        (folder / "page" / f"{entry.page.id}.html").write_text(printer.entry(entry, near), "utf-8")
    return len(entries)


class _Printer:
    """Fills the templates for one edition."""

    def __init__(self, edition: Edition) -> None:
        self._edition = edition
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("relay.edition"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters["linked"] = _linked

    def contents(self) -> str:
        """The list of all entries, with its search."""
        index = {entry.page.id: _searched(entry) for entry in self._edition.entries}
        return self._filled("contents.html", chapters=self._edition.chapters, index=_data(index))

    def entry(self, entry: Entry, near: tuple[Entry | None, Entry | None]) -> str:
        """One entry, with the ways to its neighbours."""
        return self._filled("entry.html", entry=entry, previous=near[0], following=near[1])

    def _filled(self, template: str, **values: object) -> str:
        own = {"phrases": self._edition.phrases, "style": self._style, "script": self._script, "policy": self._policy}
        return self._environment.get_template(template).render(**own, **values)

    @cached_property
    def _style(self) -> Markup:
        return self._whole("style.css")

    @cached_property
    def _script(self) -> Markup:
        return self._whole("search.js")

    @cached_property
    def _policy(self) -> str:
        # Named by their hashes, style and script may stand in the page, and nothing else runs. ('self' means nothing
        # where a page is opened from a folder.)
        return (
            f"default-src 'none'; style-src {_hash(self._style)}; script-src {_hash(self._script)}; "
            "base-uri 'none'; form-action 'none'"
        )

    def _whole(self, name: str) -> Markup:
        loader = self._environment.loader
        assert loader is not None  # noqa: S101 -- given above
        return Markup(loader.get_source(self._environment, name)[0])  # noqa: S704 -- a file of this package


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _searched(entry: Entry) -> str:
    page = entry.page
    return " ".join(
        (page.id, page.reason, entry.title, entry.meaning, entry.advice, entry.more, *entry.examples)
    ).lower()


def _data(value: object) -> Markup:
    """JSON that may stand in a script element."""
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(written.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"))  # noqa: S704 -- no < is left


def _linked(prose: str) -> Markup:
    """Words with the addresses of the web in them made links."""
    parts, end = [], 0
    for found in _LINK.finditer(prose):
        parts.append(Markup("{}").format(prose[end : found.start()]))
        parts.append(Markup('<a href="{0}" rel="noreferrer">{0}</a>').format(found[0]))
        end = found.end()
    return Markup("").join([*parts, Markup("{}").format(prose[end:])])
