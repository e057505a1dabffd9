"""A command loads what it needs, and starts at once: `relay explain 421` is asked between two breaths."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
sys.argv = ["relay", *sys.argv[1:]]
from relay.cli import main
try:
    main()
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""
SERVING = {"asyncio", "ssl", "uvloop", "aiosmtpd", "aiosmtplib", "relay.app", "relay.config.settings"}
STORING = {"sqlalchemy", "alembic", "aiosqlite", "asyncpg", "cryptography"}
SHOWING = {"structlog", "starlette", "uvicorn", "prometheus_client", "rich"}


@pytest.mark.parametrize("command", [("explain", "421"), ("--help",)])
def test_what_is_not_needed_is_not_loaded(command):
    done = subprocess.run([sys.executable, "-c", PROGRAM, *command], capture_output=True, text=True, check=True)
    assert done.stdout
    assert not (SERVING | STORING | SHOWING) & set(done.stderr.split())
