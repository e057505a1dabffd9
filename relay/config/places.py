"""Where the files that travel with the relay are: the manual of the settings and the book."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def shipped() -> Path:
    """The folder `config` of the project: inside the installed package, or beside it in a checkout.

    Raises:
        FileNotFoundError: neither is there, so the installation is broken.
    """
    package = Path(__file__).parent.parent
    for folder in (package / "_config", package.parent / "config"):
        if (folder / "relay.yaml").is_file():
            return folder
    raise FileNotFoundError(
        f"the folder config is missing: neither {package / '_config'} nor {package.parent / 'config'}"
    )
