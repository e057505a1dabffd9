"""What was made of the book's files before, kept on disk by the hash of what it was made of.

To parse the chapters, and to look at every pattern, is most of the work of reading the book. Nothing can be stale:
another text has another name. Where nothing can be kept, everything is made anew each time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay.explain import Book, literals
from relay.explain.chapter import parsed
from relay.explain.patterns import words_of_all

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relay.explain.literals import Words

_NOTHING = object()  # None may be kept: an empty file has that value
_KEPT_SECONDS = 90 * 86_400  # then a text that is still read is parsed once more, and one that is not is gone


class Kept:
    """A folder of what was made."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def parsed(self, name: str, text: str) -> tuple[Any, tuple[str, ...]]:
        """The same as `relay.explain.chapter.parsed`."""
        file = self._file(text.encode())
        found = _read(file)
        if found is not _NOTHING:
            return found, ()
        value, problems = parsed(name, text)
        if not problems:
            _keep(file, value)
        return value, problems

    def words(self, patterns: tuple[str, ...]) -> tuple[Words, ...] | None:
        """The same as `relay.explain.patterns.words_of_all`."""
        file = self._file(_maker_of_words(), *map(str.encode, patterns))
        found = _read(file)
        if found is not _NOTHING:
            return tuple(map(frozenset, found))
        words = words_of_all(patterns)
        if words is not None:
            _keep(file, [sorted(each) for each in words])
        return words

    def _file(self, *parts: bytes) -> Path | None:
        """Where that is kept which is made of these."""
        made_of = sha256(b"\0".join(parts)).hexdigest()
        return self._folder / f"{made_of}.json" if self._folder is not None else None


def read_book(*paths: Path | str, language: str) -> Book:
    """`Book.read` with all that was made of these files before."""
    kept = Kept(cache_folder())
    return Book.read(*paths, language=language, parse=kept.parsed, words_of=kept.words)


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where this user's programs keep what they can make again; None if there is no such place."""
    given = environment.get("CACHE_DIRECTORY")  # by systemd, for this service alone
    if given:
        return Path(given.partition(":")[0])
    home = environment.get("XDG_CACHE_HOME") or _below(environment.get("HOME") or environment.get("LOCALAPPDATA"))
    return Path(home) / "explaining-relay" if home and Path(home).is_absolute() else None


def _below(home: str | None) -> str | None:
    return str(Path(home) / ".cache") if home else None


def _maker_of_words() -> bytes:
    """What finds the words of a pattern: this project's code, by means of Python's parser."""
    with suppress(OSError):
        return sys.version.encode() + Path(literals.__file__).read_bytes()
    return os.urandom(16)  # it cannot be known: nothing that is kept serves


def _read(file: Path | None) -> Any:
    """The value that was kept there; _NOTHING if there is none."""
    with suppress(OSError, ValueError):
        return json.loads(file.read_bytes()) if file is not None else _NOTHING
    return _NOTHING


def _keep(file: Path | None, value: Any) -> None:
    """Keep a value, where that is possible; another process reads the whole of it, or nothing."""
    if file is None:
        return
    with suppress(OSError, TypeError, ValueError, RecursionError):
        written = json.dumps(value, separators=(",", ":"))
        if json.loads(written) != value:  # keys that are no text, for one: what comes back would be something else
            return
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in file.parent.glob("*.json"):
            if old.stat().st_mtime < time.time() - _KEPT_SECONDS:
                old.unlink(missing_ok=True)
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_text(written, "utf-8")
        fresh.replace(file)
