"""Where the book stands: beside the package in a checkout, inside it when installed."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_PLACES = (_PACKAGE / "_config" / "explanations", _PACKAGE.parent / "config" / "explanations")


def shipped_chapters() -> Path:
    """The folder of the shipped chapters.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    for place in _PLACES:
        if place.is_dir():
            return place
    looked = " and ".join(map(str, _PLACES))
    raise FileNotFoundError(f"the book of explanations is missing: looked in {looked}; install the package again")
