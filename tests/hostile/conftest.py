"""What these tests share: relays that outlive many attacks, the hostile upstream, and the figures of a full run."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

_TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS / "running")]  # the relay as a process, its plain client; e2e's certificates
pytest.register_assert_rewrite("hostile_client", "running_client")

from crowd import FULL  # noqa: E402 -- as above
from e2e.certificates import Certificates, make_certificates  # noqa: E402 -- the path is set above
from hostile_upstream import Upstream, server_tls  # noqa: E402 -- as above
from running_relay import Relay, run_relay  # noqa: E402 -- as above

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

_FIGURES: list[str] = []


@pytest.fixture
def figure() -> Callable[[str], None]:
    """Note a figure; a full run prints them all at its end."""
    return _FIGURES.append


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if FULL and _FIGURES:
        terminalreporter.section("figures")
        terminalreporter.write("".join(f"{line}\n" for line in _FIGURES))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def good_tls(certificates: Certificates) -> ssl.SSLContext:
    """What a server needs that is trusted."""
    return server_tls(certificates.good)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """One hostile upstream for all tests of a file; `behaves` makes it a good one for each."""
    with Upstream() as server:
        yield server


@pytest.fixture
def behaves(upstream: Upstream) -> Upstream:
    upstream.behave()
    return upstream


@pytest.fixture(scope="module")
def relay_before(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Run a relay before an upstream, for the length of a `with` block."""

    @contextmanager
    def run(server: Upstream, scheme: str = "smtp+plain", *, before: str = "", **settings: Any) -> Iterator[Relay]:
        way = {**settings.pop("upstream", {}), "url": server.url(scheme)}
        with run_relay(tmp_path_factory.mktemp("relay"), {"upstream": way, **settings}, before) as relay:
            yield relay

    return run
