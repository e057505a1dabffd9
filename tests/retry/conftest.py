"""What these tests share: an upstream, relays in front of it, and a database of each kind."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from retry_postgresql import new_database, postgresql
from retry_relay import QUICK, Relay, free_port
from retry_upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """An upstream that is up."""
    with Upstream() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL of the system's packages, started once for all tests, and skipped with a reason where it is not."""
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/spool.db"
    fresh: Callable[[], str] = request.getfixturevalue("fresh_postgresql")
    return fresh()


@pytest.fixture
def fresh_postgresql(postgresql_url: str) -> Callable[[], str]:
    """Makes an empty database and gives its URL."""
    return lambda: new_database(postgresql_url)


@pytest.fixture
def relays(upstream: Upstream, tmp_path: Path) -> Iterator[Callable[..., Relay]]:
    """Start a relay before the upstream, with these settings besides; it is stopped, or at least killed, at the end."""
    with ExitStack() as stack:

        def start(port: int = 0, **settings: str) -> Relay:
            quick = {f"retry.spool.{name}": value for name, value in QUICK.items()}
            chosen = quick | {name.replace("__", "."): value for name, value in settings.items()}
            relay = Relay(tmp_path, upstream.url, {"hostname": "relay.test", **chosen}, port or free_port())
            stack.callback(relay.kill)
            return relay.start()

        yield start
