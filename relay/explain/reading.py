"""The files of the book read: its chapters, and beside them a folder for each language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from relay.explain.chapter import BookError, read_chapter, read_servers
from relay.explain.translation import (
    ENGLISH_PHRASES,
    PHRASES_FILE,
    Entry,
    Translation,
    read_entries,
    translatable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from relay.explain.chapter import Parse
    from relay.explain.page import Page
    from relay.explain.servers import Server
    from relay.explain.translation import Words

_FIRST_COMMENT = re.compile(r"(?:#.*\n)+")
_HEADING_END = re.compile(r"[:.;](?:\s|$)| - ")

SERVERS_FILE = "servers.yaml"  # beside the chapters: who is recognised by which host name or words


@dataclass(frozen=True, slots=True)
class Chapters:
    """What the files hold: pages in order, servers, the file of each page (by its id), the heading of each file."""

    pages: tuple[Page, ...]
    servers: tuple[Server, ...]
    files: Mapping[str, str]
    headings: Mapping[str, str]


def read_chapters(paths: Iterable[Path | str], parse: Parse | None = None) -> Chapters:
    """Read folders of `*.yaml` files, or single files.

    Raises:
        BookError: files hold mistakes or cannot be read; the message names every one by file, line, page and key.
    """
    pages: list[Page] = []
    servers: list[Server] = []
    problems: list[str] = []
    files: dict[str, str] = {}
    headings: dict[str, str] = {}
    for file in chapters_in(paths):
        text, unread = _text_of(file)
        problems += unread
        if file.name == SERVERS_FILE:
            known, wrong = read_servers(file.name, text, parse)
            servers += known
        else:
            read, wrong = read_chapter(file.name, text, parse)
            pages += read
            files.update((page.id, file.name) for page in read)
            if read:
                headings.setdefault(file.name, heading(text) or file.stem)
        problems += wrong
    if problems:
        raise BookError("\n".join(problems))
    return Chapters(tuple(pages), tuple(servers), files, headings)


def read_translation(
    paths: Iterable[Path | str], language: str, pages: Iterable[Page], parse: Parse | None = None
) -> Translation:
    """Read what stands in the folders of that language, which are beside the chapters.

    Raises:
        BookError: files hold mistakes or cannot be read; the message names every one.
    """
    english = translatable(pages, language)
    found: dict[str, Entry] = {}
    phrases: dict[str, Entry] = {}
    headings: dict[str, str] = {}
    problems: list[str] = []
    folders = (Path(path) / language for path in paths)
    for file in chapters_in(folder for folder in folders if folder.is_dir()):
        fixed = file.name == PHRASES_FILE
        known: Mapping[str, Words] = ENGLISH_PHRASES if fixed else english
        text, unread = _text_of(file)
        problems += unread
        entries, wrong = read_entries(f"{language}/{file.name}", text, known, parse)
        problems += wrong
        problems += [f"{language}/{file.name}: {key}: translated twice" for key in entries if key in found]
        (phrases if fixed else found).update(entries)
        headings[file.name] = heading(text)
    if problems:
        raise BookError("\n".join(problems))
    return Translation(language, found, phrases, {file: words for file, words in headings.items() if words})


def _text_of(file: Path) -> tuple[str, tuple[str, ...]]:
    """What stands in a file, and why it cannot be read; then nothing stands in it."""
    try:
        return file.read_text("utf-8"), ()
    except OSError as error:
        return "", (f"{file}: {error.strerror}, expected a file that can be read",)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return "", (f"{file}:{line}: found the octet 0x{error.object[error.start]:X}, expected text in UTF-8",)


def heading(text: str) -> str:
    """The heading of a chapter: the comment it begins with, up to the first colon or full stop."""
    found = _FIRST_COMMENT.match(text)
    words = " ".join(found[0].replace("#", " ").split()) if found else ""
    return _HEADING_END.split(words, maxsplit=1)[0].strip()


def chapters_in(paths: Iterable[Path | str]) -> list[Path]:
    """The YAML files of some folders, and single files: in the order of the paths, a folder's by their names."""
    files: list[Path] = []
    for path in map(Path, paths):
        files += sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    return files
