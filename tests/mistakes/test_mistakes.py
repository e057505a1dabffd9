"""What operators get wrong: one folder for each mistake, with the very words that `relay check` answers in `expected`.

A folder holds what the operator gave: `relay.yaml`, `environment` (VARIABLE=value lines), `flags`, and files they name.
S3CRET marks what must never be shown. After a change of wording, `RENEW=1 pytest tests/mistakes` writes the new words,
to be read before they are committed.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from relay.cli.check import check

HERE = Path(__file__).parent
MISTAKES = sorted(path for path in HERE.iterdir() if path.is_dir() and path.name != "__pycache__")

app = typer.Typer()
app.command()(check)


def text_of(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def answer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What `relay check` says in this folder; it must refuse."""
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("RELAY_")]:
        monkeypatch.delenv(name)
    for line in text_of(folder / "environment").splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    result = CliRunner().invoke(app, shlex.split(text_of(folder / "flags")))
    assert result.exit_code == 2, result.output
    assert "S3CRET" not in result.output
    return result.stderr.replace(str(folder), "HERE")


@pytest.mark.parametrize("folder", MISTAKES, ids=lambda folder: folder.name)
def test_a_mistake_is_answered_in_these_words(folder: Path, monkeypatch: pytest.MonkeyPatch):
    said = answer(folder, monkeypatch)
    if os.environ.get("RENEW"):
        (folder / "expected").write_text(said, "utf-8")
    assert said == text_of(folder / "expected")


def test_there_are_mistakes():
    assert len(MISTAKES) > 70
