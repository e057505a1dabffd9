"""A certificate authority made on the fly, and server certificates: a good one and each kind of bad one."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
LOOPBACK = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")))
ELSEWHERE = (x509.DNSName("mail.elsewhere.example"),)


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates: its own is what a client must trust."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM: the authority to trust, and servers' certificates, each with its key in the same file."""

    authority: Path
    good: Path
    wrong_name: Path
    expired: Path
    not_yet_valid: Path
    unknown_authority: Path
    self_signed: Path


def make_certificates(directory: Path) -> Certificates:
    """Make them all, valid for `localhost` and 127.0.0.1 where nothing else is said."""
    trusted, stranger = _authority("Test authority"), _authority("Nobody's authority")
    (directory / "authority.pem").write_bytes(trusted.certificate.public_bytes(serialization.Encoding.PEM))
    return Certificates(
        authority=directory / "authority.pem",
        good=_write(directory / "good.pem", *_server(trusted)),
        wrong_name=_write(directory / "wrong-name.pem", *_server(trusted, names=ELSEWHERE)),
        expired=_write(directory / "expired.pem", *_server(trusted, until=NOW - DAY)),
        not_yet_valid=_write(directory / "not-yet-valid.pem", *_server(trusted, until=NOW + 20 * DAY)),
        unknown_authority=_write(directory / "unknown-authority.pem", *_server(stranger)),
        self_signed=_write(directory / "self-signed.pem", *_self_signed()),
    )


def _authority(name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name((x509.NameAttribute(NameOID.COMMON_NAME, name),))
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    unsigned = (
        _unsigned(subject, subject, key, NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Authority(unsigned.sign(key, hashes.SHA256()), key)


def _server(
    authority: Authority, names: tuple[x509.GeneralName, ...] = LOOPBACK, until: dt.datetime = NOW + DAY
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name((x509.NameAttribute(NameOID.COMMON_NAME, "test server"),))
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    unsigned = (
        _unsigned(subject, authority.certificate.subject, key, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(signer, critical=False)
    )
    return unsigned.sign(authority.key, hashes.SHA256()), key


def _self_signed() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name((x509.NameAttribute(NameOID.COMMON_NAME, "test server"),))
    unsigned = _unsigned(subject, subject, key, NOW + DAY)
    return unsigned.add_extension(x509.SubjectAlternativeName(LOOPBACK), critical=False).sign(key, hashes.SHA256()), key


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, until: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - 10 * DAY)
        .not_valid_after(until)
    )


def _write(path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Path:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
