"""What these tests share: an upstream, a certificate, and relays that are ended with the test."""

from __future__ import annotations

import datetime as dt
import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

pytest.register_assert_rewrite("running_client")

from running_relay import Relay, Settings, run_relay  # noqa: E402 -- its helper must be registered first
from running_upstream import Upstream  # noqa: E402 -- as above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def _serving() -> Iterator[Upstream]:
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """An upstream that accepts everything; `upstream.conduct` changes that."""
    with _serving() as server:
        yield server


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """A relay that demands a PROXY header from 127.0.0.1; one for all tests of a file."""
    door = {
        "address": "127.0.0.1:0",
        "allow": ["192.0.2.0/24", "2001:db8::/32", "127.0.0.1"],
        "proxy_protocol": ["127.0.0.1"],
    }
    with _serving() as upstream:
        settings = {"upstream": {"url": upstream.url}, "listen": [door], "timeouts": {"proxy_header": 0.4}}
        with run_relay(tmp_path_factory.mktemp("behind-proxy"), settings) as relay:
            yield relay


@pytest.fixture
def start(upstream: Upstream, tmp_path: Path) -> Iterator[Callable[..., Relay]]:
    """Start a relay before the upstream, with the settings given (a mapping of sections) beside upstream.url."""
    with ExitStack() as stack:

        def started(settings: Settings | None = None, before: str = "") -> Relay:
            chosen = {"upstream": {"url": upstream.url}, **(settings or {})}
            return stack.enter_context(run_relay(tmp_path, chosen, before))

        yield started


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The two keys of a listener's settings that name a certificate."""
    return write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def own_certificate(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Writes a certificate for this test alone, each time a new one, in the files of the last."""
    return partial(write_certificate, tmp_path)


def write_certificate(folder: Path, kind: str = "EC") -> dict[str, str]:
    """A new certificate and its key, in the files of the last one."""
    key = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())
    name = x509.Name((x509.NameAttribute(NameOID.COMMON_NAME, "relay.example"),))
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
    pem = signed.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "relay.pem").write_bytes(pem)
    (folder / "relay.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {"certificate": str(folder / "relay.pem"), "key": str(folder / "relay.key")}
