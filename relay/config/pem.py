"""Certificates and keys, tried once at the start: a wrong one must not wait for the first client to be noticed."""

from collections.abc import Iterator
from pathlib import Path

from relay.config.problem import Complaint


class _EncryptedKeyError(Exception):
    pass


def complaints_about_pair(certificate: Path | None, key: Path | None) -> Iterator[Complaint]:
    """What is wrong with a certificate and its key: one missing, not PEM, encrypted, or not a pair."""
    if certificate and key:
        yield from _complaints_about_files(certificate, key)
    elif certificate:
        yield Complaint("the certificate's private key", "add key: FILE", "no key", ("key",))
    elif key:
        yield Complaint(
            "the certificate the key belongs to", "add certificate: FILE", "no certificate", ("certificate",)
        )


def _complaints_about_files(certificate: Path, key: Path) -> Iterator[Complaint]:
    import ssl  # noqa: PLC0415 -- costs start-up time that a relay without certificates need not pay

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_refuse)
    except _EncryptedKeyError:
        cure = f"write it without a passphrase: openssl pkey -in {key} -out NEW, and keep that file private"
        yield Complaint("a private key without a passphrase", cure, at=("key",))
    except (ssl.SSLError, OSError) as error:
        at, expected, cure = _reading(certificate, key, getattr(error, "reason", "") or "")
        yield Complaint(expected, cure, at=(at,))


def _refuse() -> str:
    raise _EncryptedKeyError


def _reading(certificate: Path, key: Path, reason: str) -> tuple[str, str, str]:
    if reason == "KEY_VALUES_MISMATCH":
        return "key", f"the private key of the certificate {certificate}", "the two files do not belong together"
    for name, path, word in (("certificate", certificate, b"CERTIFICATE"), ("key", key, b"PRIVATE KEY")):
        if word not in path.read_bytes():
            return name, f"a PEM file with a -----BEGIN ... {word.decode()}----- block", f"{path.absolute()} has none"
    return "certificate", "a certificate and a key that OpenSSL can read", f"OpenSSL said: {reason or 'not readable'}"


def complaints_about_authorities(path: Path | None) -> Iterator[Complaint]:
    """What is wrong with a file of trusted authorities."""
    if path and b"-----BEGIN CERTIFICATE-----" not in path.read_bytes():
        cure = f"{path.absolute()} holds no certificate"
        yield Complaint("a PEM file with the certificates of trusted authorities", cure, at=("ca_file",))
