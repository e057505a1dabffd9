"""The mail server behind the relay, started once for all tests of this folder, and relays in front of it."""

from __future__ import annotations

import secrets
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .certificates import make_certificates
from .dovecot_server import dovecot
from .greylist import greylisting
from .postfix_server import Surroundings, postfix
from .programs import as_root, free_ports, program, run_as_root
from .relay_process import relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .postfix_server import Postfix
    from .relay_process import Relay

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is an end-to-end test, and says so."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def server() -> Iterator[Postfix]:
    """A real Postfix with Dovecot behind its logins and a greylisting policy; two seconds, once."""
    as_root(), program("postfix"), program("dovecot")  # before anything is made that would have to be removed again
    with ExitStack() as stack:
        directory = stack.enter_context(_open_folder())
        folder = directory / "dovecot"
        folder.mkdir()
        around = Surroundings(
            auth_socket=stack.enter_context(dovecot(folder)),
            greylist_port=stack.enter_context(greylisting("Greylisted, please try again in 5 minutes")),
            brief_greylist_port=stack.enter_context(greylisting("Greylisted")),
            certificates=make_certificates(directory),
            office_relay_port=free_ports(1)[0],
        )
        yield stack.enter_context(postfix(directory, around))


@contextmanager
def _open_folder() -> Iterator[Path]:
    """A folder with a short name (a socket's path has 107 octets) that the servers' own users may enter."""
    directory = Path(tempfile.mkdtemp(prefix="relay-e2e-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        run_as_root("rm", "-rf", str(directory))  # Postfix and Dovecot own what is inside


@pytest.fixture
def token() -> str:
    """What marks this test's mail."""
    return f"token-{secrets.token_hex(8)}"


@pytest.fixture
def start_relay(tmp_path: Path) -> Iterator[Callable[..., Relay]]:
    """Start a relay with these arguments (see `relay_process.relay`); it is stopped when the test ends."""
    with ExitStack() as running:

        def start(*arguments: str, port: int = 0, **settings: str) -> Relay:
            chosen = {name.replace("__", "."): value for name, value in settings.items()}
            return running.enter_context(relay(tmp_path, *arguments, settings=chosen, port=port))

        yield start


@pytest.fixture
def relay_to(server: Postfix, start_relay: Callable[..., Relay]) -> Callable[..., Relay]:
    """Start a relay in front of one of the server's ports, named as in `postfix_server.PORTS`."""

    def start(port: str, **settings: str) -> Relay:
        return start_relay("--upstream", server.url(port), **settings)

    return start
