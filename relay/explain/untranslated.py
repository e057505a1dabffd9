"""What a translator has still to do, as YAML to fill in: the English as comments, its mark in place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from relay.explain.translation import ENGLISH_PHRASES, PHRASES_FILE, mark_of, missing, stale, translatable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from relay.explain.reading import Chapters
    from relay.explain.translation import Entry, Translation, Words


def untranslated(chapters: Chapters, translation: Translation, only: Collection[str] = ()) -> str:
    """Everything that is missing or stale, file by file; empty if nothing is.

    Args:
        chapters: the English.
        translation: what is there already.
        only: names of files, or ids of pages; none for all.
    """
    english = translatable(chapters.pages, translation.language)
    left = [(PHRASES_FILE, key, skeleton) for key, skeleton in _skeletons(ENGLISH_PHRASES, translation.phrases)]
    left += [(chapters.files[key], key, skeleton) for key, skeleton in _skeletons(english, translation.pages)]
    blocks: dict[str, list[str]] = {}
    for file, key, skeleton in left:
        if not only or file in only or key in only:
            blocks.setdefault(file, []).append(skeleton)
    return "\n".join(
        f"# ---- {translation.language}/{file}\n\n" + "\n".join(skeletons) for file, skeletons in blocks.items()
    )


def _skeletons(english: Mapping[str, Words], entries: Mapping[str, Entry]) -> Iterator[tuple[str, str]]:
    old = frozenset(stale(english, entries))
    new = frozenset(missing(english, entries))
    for key, words in english.items():
        if key in old or key in new:
            yield key, _skeleton(key, words, entries.get(key))


def _skeleton(key: str, english: Words, old: Entry | None) -> str:
    lines = [f"{key}:", f"  of: {mark_of(english)}" + ("  # the English has changed since" if old else "")]
    for name, words in english.items():
        lines += [f"  # {line}" for line in words.splitlines()]
        lines.append(f"  {name}: {json.dumps(old.words.get(name, '') if old else '', ensure_ascii=False)}")
    return "\n".join(lines) + "\n"
