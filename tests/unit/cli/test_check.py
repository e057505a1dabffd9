"""`relay check` with settings that are right; tests/mistakes has those that are wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from relay.cli.check import check

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from click.testing import Result

PAGE = """
- id: {name}
  reason: undefined
  title: The server refused the message
  meaning: It gave no reason that is known here.
  advice: Ask the operator of the server.
"""

app = typer.Typer()
app.command()(check)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings, and a shipped book of one page."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "99-anything-else.yaml").write_text(PAGE.format(name="anything-else"))
    monkeypatch.setattr("relay.explain.shipped_chapters", lambda: tmp_path / "shipped")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_it_says_what_was_read_who_may_come_and_where_mail_goes(folder: Path, monkeypatch: pytest.MonkeyPatch):
    (folder / "relay.yaml").write_text("listen:\n- address: 0.0.0.0:25\n  allow: [10.0.0.0/8]\n- address: '[::1]:0'\n")
    monkeypatch.setenv("RELAY_UPSTREAM__URL", "smtps://anna:secret@mail.example.com")
    result = run("--set", "log.format=json")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "settings read from",
        "  built-in defaults",
        f"  {folder / 'relay.yaml'}",
        "  environment variable RELAY_UPSTREAM__URL",
        "  flags of this command",
        "listening on",
        "  0.0.0.0:25  no TLS, for 10.0.0.0/8",
        "  [::1]:0  no TLS, for everybody on this machine",
        "passing mail on to",
        "  smtps://anna:***@mail.example.com:465  TLS from the first octet, certificate verified, logging in as anna",
        "settings: ok",
        "book: 1 pages, ok",
    ]


def test_an_upstream_on_this_machine_may_stay_plain():
    line = "smtp://localhost:587  STARTTLS demanded, certificate verified (or plain, as it is this machine)"
    assert f"  {line}, with each client's own login\n" in run("--upstream", "smtp://localhost").stdout


def test_practice_needs_no_upstream():
    result = run("--practice")
    assert result.exit_code == 0
    assert "  the built-in practice upstream\n" in result.stdout


def test_the_operators_own_pages_are_read_too(folder: Path):
    (folder / "00-house.yaml").write_text(PAGE.format(name="house-rule") + "  when: {code: ['550']}\n")
    result = run("--practice", "--set", "book.house=00-house.yaml")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "book: 2 pages, ok")


def test_a_mistake_in_the_book_ends_with_status_2(folder: Path):
    (folder / "00-house.yaml").write_text("- titel: x\n")
    result = run("--practice", "--set", "book.house=00-house.yaml")
    assert result.exit_code == 2
    assert "00-house.yaml" in result.stderr
    assert "titel" in result.stderr


def test_practice_cannot_be_probed():
    result = run("--practice", "--probe")
    assert result.exit_code == 2
    assert "name one with --upstream" in result.stderr


def test_without_a_file_it_names_the_manual(folder: Path):
    (line,) = (line for line in run("--practice").stdout.splitlines() if "no file" in line)
    manual = Path(line.rpartition(" described in ")[2])
    assert "listen:" in manual.read_text()


@pytest.mark.parametrize(("ok", "status"), [(True, 0), (False, 2)])
def test_probe_prints_each_step(monkeypatch: pytest.MonkeyPatch, ok: bool, status: int):
    async def probe(settings: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(name="connect", ok=True, text=settings.upstream.server.place)
        yield SimpleNamespace(name="greeting", ok=ok, text="what it said")

    module = ModuleType("relay.upstream.probe")
    module.probe = probe  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "relay.upstream.probe", module)
    result = run("--upstream", "smtp://localhost", "--probe")
    assert result.exit_code == status
    words = "ok  " if ok else "FAIL"
    assert result.stdout.splitlines()[-2:] == ["ok   connect: localhost:587", f"{words} greeting: what it said"]
