"""Who may use a listener, and its certificate."""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from relay.config import Flags, Listener, Settings, SettingsError, load

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey


def listener(**given: Any) -> Listener:
    return Listener.model_validate({"address": "127.0.0.1:2525"} | given)


def write_pair(folder: Path) -> EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "relay.example.com")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
    (folder / "cert.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    write_key(folder, key, serialization.NoEncryption())
    return key


def write_key(folder: Path, key: EllipticCurvePrivateKey, protection: serialization.KeySerializationEncryption) -> None:
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, protection))


def with_tls(folder: Path) -> dict[str, str]:
    return {"tls": "starttls", "certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem")}


def test_a_listener_on_loopback_lets_everybody_in():
    assert listener().networks == ()
    assert not listener().login


def test_networks_and_logins():
    rules = listener(allow=["10.0.0.0/8", "login:anna", "login:bob", "::1"])
    assert rules.networks == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert (rules.login, rules.users) == (True, frozenset({"anna", "bob"}))
    assert [str(rule) for rule in rules.allow] == ["10.0.0.0/8", "login:anna", "login:bob", "::1/128"]


def test_any_login_includes_the_named_ones():
    assert listener(allow=["login:anna", "login"]).users == frozenset()


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1", "2000::/3"])
@pytest.mark.parametrize("more", [[], ["login"]])
def test_a_network_that_is_the_whole_world_is_an_open_relay(network: str, more: list[str], tmp_path: Path):
    write_pair(tmp_path)
    with pytest.raises(ValidationError, match="open relay"):
        listener(address="0.0.0.0:25", allow=[network, *more], **with_tls(tmp_path))


@pytest.mark.parametrize("network", ["10.0.0.0/8", "fc00::/7", "fd00::/8", "2001:db8::/32", "203.0.113.7"])
def test_networks_of_ones_own(network: str):
    assert listener(address="0.0.0.0:25", allow=[network]).networks == (ip_network(network),)


@pytest.mark.parametrize("address", ["0.0.0.0:25", "[::]:25", "192.0.2.1:25", "relay.example.com:25"])
def test_beyond_loopback_somebody_must_be_named(address: str):
    with pytest.raises(ValidationError, match="who may use this listener"):
        listener(address=address)


def test_a_proxy_in_front_makes_loopback_reachable():
    with pytest.raises(ValidationError, match="who may use this listener"):
        listener(proxy_protocol=["127.0.0.1"])


def test_a_login_beyond_loopback_needs_tls(tmp_path: Path):
    write_pair(tmp_path)
    with pytest.raises(ValidationError, match="TLS on a listener that takes logins"):
        listener(address="0.0.0.0:25", allow=["login"])
    assert listener(address="0.0.0.0:25", allow=["login"], **with_tls(tmp_path)).login
    assert listener(allow=["login"]).login


def test_certificate_and_key_are_tried(tmp_path: Path):
    write_pair(tmp_path)
    assert listener(**with_tls(tmp_path)).key == tmp_path / "key.pem"


def test_a_key_of_another_certificate(tmp_path: Path):
    write_pair(tmp_path)
    write_key(tmp_path, ec.generate_private_key(ec.SECP256R1()), serialization.NoEncryption())
    with pytest.raises(ValidationError, match="the private key of the certificate"):
        listener(**with_tls(tmp_path))


def test_a_key_with_a_passphrase(tmp_path: Path):
    key = write_pair(tmp_path)
    write_key(tmp_path, key, serialization.BestAvailableEncryption(b"passphrase"))
    with pytest.raises(ValidationError, match="without a passphrase"):
        listener(**with_tls(tmp_path))


def test_a_broken_certificate(tmp_path: Path):
    write_pair(tmp_path)
    (tmp_path / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(ValidationError, match="that OpenSSL can read"):
        listener(**with_tls(tmp_path))


def test_the_relays_own_certificate_for_the_upstream(tmp_path: Path):
    write_pair(tmp_path)
    flags = [f"upstream.tls.certificate={tmp_path / 'cert.pem'}"]
    with pytest.raises(SettingsError, match="the certificate's private key"):
        load(None, Flags(practice=True, set=tuple(flags)), {})
    flags.append(f"upstream.tls.key={tmp_path / 'key.pem'}")
    assert load(None, Flags(practice=True, set=tuple(flags)), {}).upstream.tls.key == tmp_path / "key.pem"


def test_port_0_may_be_asked_for_twice():
    twice = Settings.model_validate({"listen": [{"address": "127.0.0.1:0"}, {"address": "127.0.0.1:0"}]})
    assert len(twice.listen) == 2
