"""Whoever does not use the spool does not pay for it: nothing of it is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, sys
from relay.app import Relay, Workplace
from relay.config import Flags, load
from relay.parts import read_book
from relay.record.log import NoLog

async def main():
    chosen = ("upstream.url=smtp+plain://127.0.0.1:1", "retry.mode=MODE")
    settings = load(None, Flags(listen=("127.0.0.1:0",), set=chosen), {})
    relay = Relay(settings, read_book(settings), Workplace.alone(settings, NoLog()))
    await relay.listen()
    await relay.stop()

asyncio.run(main())
print(*sorted(sys.modules))
"""
LIBRARIES = {"sqlalchemy", "alembic", "aiosqlite", "asyncpg", "cryptography.fernet", "relay.store", "relay.retry.spool"}


def loaded(mode: str, directory: object) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("MODE", mode)],
        cwd=str(directory),
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("mode", ["off", "inline"])
def test_without_the_spool_nothing_of_it_is_loaded(mode: str, tmp_path: object):
    found = loaded(mode, tmp_path)
    assert "relay.proxy.session" in found
    assert not LIBRARIES & found
    assert ("relay.retry" in found) == (mode == "inline")


def test_with_it_it_is(tmp_path: object):
    assert LIBRARIES - {"asyncpg", "cryptography.fernet"} <= loaded("spool", tmp_path)
