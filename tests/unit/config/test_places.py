"""What travels with the relay is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from relay.config import places

if TYPE_CHECKING:
    from pathlib import Path


def test_the_shipped_files_are_found():
    assert (places.shipped() / "relay.yaml").is_file()


def test_a_broken_installation_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(places, "__file__", str(tmp_path / "relay" / "config" / "places.py"))
    with pytest.raises(FileNotFoundError, match="install"):
        places.shipped.__wrapped__()


def test_an_installed_package_carries_them_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    inside = tmp_path / "relay" / "_config"
    inside.mkdir(parents=True)
    (inside / "relay.yaml").touch()
    monkeypatch.setattr(places, "__file__", str(tmp_path / "relay" / "config" / "places.py"))
    assert places.shipped.__wrapped__() == inside
