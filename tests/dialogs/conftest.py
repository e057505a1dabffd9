"""Lets a failed assertion of the player show what it saw; gives each dialog a folder of its own to keep mail in."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite("dialog_player")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
