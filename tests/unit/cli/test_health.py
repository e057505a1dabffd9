"""`relay health` against servers that answer well, badly, or not at all."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from relay.cli import app, health

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

WELL = (b"220 relay.test ESMTP", b"250 relay.test", b"250 2.0.0 OK", b"221 2.0.0 Bye")


@contextmanager
def server(*replies: bytes, silent: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """A server that says the replies in order, and then closes or (silent) says nothing; and what it has heard."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            client, _ = listening.accept()
            with client, client.makefile("rb") as lines:
                for reply in replies:
                    client.sendall(reply + b"\r\n")
                    heard.append(lines.readline().strip())
                if silent:
                    lines.read()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}", heard
        thread.join(5)


def run(relay: str) -> Result:
    return CliRunner().invoke(app, ["health", "--relay", relay])


def test_a_relay_that_answers_is_healthy_and_its_upstream_is_not_asked():
    with server(*WELL) as (place, heard):
        result = run(place)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{place} is healthy: relay.test answered in ")
    assert heard[:3] == [b"helo localhost", b"noop", b"quit"]


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        ((b"421 4.3.2 too busy",), "answered 421 4.3.2 too busy (220 was expected)"),
        ((b"220 hello", b"502 no such thing"), "answered 502 no such thing (250 was expected)"),
        ((*WELL[:2], b"500 what?"), "answered 500 what? (250 was expected)"),
        ((b"HTTP/1.1 400 Bad Request",), "answered not in SMTP: "),
        ((b"220 hello",), "closed"),
    ],
)
def test_what_was_seen_is_said(replies: tuple[bytes, ...], words: str):
    with server(*replies) as (place, _):
        result = run(place)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"no relay serves at {place}: ")
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("replies", [(), WELL[:1], WELL[:2]])
def test_silence_ends_in_time(monkeypatch: pytest.MonkeyPatch, replies: tuple[bytes, ...]):
    monkeypatch.setattr(sys.modules[health.__module__], "_SECONDS", 0.2)  # relay.cli.health names the function
    with server(*replies, silent=True) as (place, _):
        result = run(place)
    assert result.exit_code == 1
    assert "no answer within 0.2 seconds" in result.stderr


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    result = run(f"127.0.0.1:{port}")
    assert result.exit_code == 1
    assert "nothing listens there. Start the relay" in result.stderr


def test_a_place_that_is_none():
    assert run("2525").exit_code == 2
