"""What was parsed of YAML files before, kept on disk by the hash of their text: to parse is most of reading the book.

Nothing can be stale: another text has another name. Where nothing can be kept, everything is parsed each time.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay.explain.chapter import parsed

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEPT_SECONDS = 90 * 86_400  # then a text that is still read is parsed once more, and one that is not is gone


class Kept:
    """A folder of parsed files."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def parsed(self, name: str, text: str) -> tuple[Any, tuple[str, ...]]:
        """The same as `relay.explain.chapter.parsed`."""
        if self._folder is None:
            return parsed(name, text)
        file = self._folder / f"{sha256(text.encode()).hexdigest()}.json"
        with suppress(OSError, ValueError):
            return json.loads(file.read_bytes()), ()
        value, problems = parsed(name, text)
        if not problems:
            with suppress(OSError, TypeError, ValueError):
                _keep(file, value)
        return value, problems


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where this user's programs keep what they can make again; None if there is no such place."""
    given = environment.get("CACHE_DIRECTORY")  # by systemd, for this service alone
    if given:
        return Path(given.partition(":")[0])
    home = environment.get("XDG_CACHE_HOME") or _below(environment.get("HOME") or environment.get("LOCALAPPDATA"))
    return Path(home) / "explaining-relay" if home and Path(home).is_absolute() else None


def _below(home: str | None) -> str | None:
    return str(Path(home) / ".cache") if home else None


def _keep(file: Path, value: Any) -> None:
    written = json.dumps(value, separators=(",", ":"))
    if json.loads(written) != value:  # keys that are no text, for one: what comes back would be something else
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in file.parent.glob("*.json"):
        if old.stat().st_mtime < time.time() - _KEPT_SECONDS:
            old.unlink(missing_ok=True)
    fresh = file.with_suffix(f".{os.getpid()}")
    fresh.write_text(written, "utf-8")
    fresh.replace(file)  # at once: another process reads the whole of it, or nothing
