"""`relay check` with settings that are right; tests/mistakes has those that are wrong."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from relay.cli.check import check
from relay.explain import shipped_chapters
from relay.practice import start

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    monkeypatch.setattr("relay.parts.shipped_chapters", lambda: tmp_path / "shipped")
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


def test_it_says_where_mail_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RELAY_DATABASE__URL", "postgresql://anna:secret@db.example/mail")
    result = run("--practice", "--set", "retry.mode=spool")
    assert "temporary failures\n  spool, in postgresql://anna:***@db.example/mail\n" in result.stdout
    assert "temporary failures" not in run("--practice").stdout


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


def test_a_chapter_that_cannot_be_read_ends_with_status_2(folder: Path):
    (folder / "house").mkdir()
    (folder / "house" / "de").mkdir()
    latin = folder / "house" / "mine.yaml"
    latin.write_bytes("# Grüße\n".encode("latin-1"))
    result = run("--practice", "--set", "book.house=house")
    assert (result.exit_code, result.stderr) == (2, "house/mine.yaml:1: found the octet 0xFC, expected text in UTF-8\n")
    latin.rename(folder / "house" / "de" / "mine.yaml")
    result = run("--practice", "--set", "book.house=house", "--book")
    assert result.exit_code == 1
    assert "house/de/mine.yaml:1: found the octet 0xFC, expected text in UTF-8" in result.stdout


def test_practice_cannot_be_probed():
    result = run("--practice", "--probe")
    assert result.exit_code == 2
    assert "name one with --upstream" in result.stderr


def test_without_a_file_it_names_the_manual(folder: Path):
    (line,) = (line for line in run("--practice").stdout.splitlines() if "no file" in line)
    manual = Path(line.rpartition(" described in ")[2])
    assert "listen:" in manual.read_text()


@pytest.fixture
def practice_port() -> Iterator[int]:
    """A practice upstream in a thread of its own: `relay check` runs a loop itself."""
    started: Queue[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    async def serve() -> None:
        server, stop = await start(), asyncio.Event()
        started.put((server.address[1], asyncio.get_running_loop(), stop))
        await stop.wait()
        await server.close()

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    port, loop, stop = started.get(timeout=10)
    yield port
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)


def test_probe_walks_to_the_upstream_and_tells_of_each_step(practice_port: int):
    url = f"smtp://anna:secret@localhost:{practice_port}"
    result = run("--upstream", url, "--probe", "--set", "upstream.login_mechanism=plain")
    steps = result.stdout.splitlines()[-5:]
    assert [line.split(":")[0] for line in steps] == [
        "ok   connect",
        "ok   greeting",
        "ok   EHLO",
        "ok   STARTTLS",
        "ok   login",
    ]
    assert "SIZE 26214400" in steps[2] and "plain is accepted on this machine" in steps[3]
    assert result.exit_code == 0 and "secret" not in result.output


def test_probe_explains_a_refused_login(practice_port: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("relay.parts.shipped_chapters", shipped_chapters)  # the real book, to explain it
    url = f"smtp://login-wrong-password:secret@localhost:{practice_port}"
    result = run("--upstream", url, "--probe")
    assert result.exit_code == 2
    assert "FAIL login: " in result.stdout and "password" in result.stdout.splitlines()[-3].lower()
    assert "secret" not in result.output


def test_probe_explains_that_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    result = run("--upstream", f"smtp+plain://127.0.0.1:{port}", "--probe")
    assert result.exit_code == 2
    assert f"FAIL connect: 127.0.0.1:{port} refused the connection" in result.stdout


HOUSE = """
- id: house-all
  reason: filtered
  title: Everything
  when: {code: [5xx]}
  meaning: It is so.
  advice: Ask.
  examples: ["550 No"]
- id: house-login
  reason: filtered
  title: Something else
  when: {status: [4.7.0], phase: [auth]}
  meaning: It is so.
  advice: Ask.
  examples: ["454 4.7.0 No"]
- id: house-some
  reason: filtered
  title: Something.
  when: {code: ["550"], phase: [rcpt]}
  meaning: It is so
  advice: Ask.
  examples: ["[phase=rcpt] 550 No"]
"""


def test_the_pages_are_proved_on_demand(folder: Path):
    (folder / "mine.yaml").write_text(HOUSE)
    house = ("--practice", "--set", f"book.house={folder / 'mine.yaml'}")
    assert run(*house).exit_code == 0
    result = run(*house, "--book")
    assert result.exit_code == 1, result.output
    for words in (
        "things to mend",
        "page house-some: the title has at most 120 characters, and no full stop at its end",
        "page house-some: meaning ends with a full stop",
        "page house-some: its example '[phase=rcpt] 550 No' is explained by house-all, which comes before it",
        "page house-login: its own conditions do not fit its example '454 4.7.0 No'",
        "page house-some is never reached: wherever it fits, house-all fits too, and comes before it",
        "page anything-else: found no example",
        "de: missing 4 of 4 pages: house-all, house-login, house-some, anything-else",
    ):
        assert words in result.output, result.output
