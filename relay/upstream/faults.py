"""What went wrong on the way to the upstream: an exception of socket or ssl -> the Fault it means."""

from __future__ import annotations

import errno
import socket
import ssl

from relay.smtp import Fault

# X509_V_ERR_* of OpenSSL (x509_vfy.h)
_CERTIFICATE_FAULTS = {
    9: Fault.CERTIFICATE_NOT_YET_VALID,
    10: Fault.CERTIFICATE_EXPIRED,
    18: Fault.CERTIFICATE_ISSUER,  # self-signed
    19: Fault.CERTIFICATE_ISSUER,  # self-signed in the chain
    20: Fault.CERTIFICATE_ISSUER,  # the issuer's own certificate is not known here
    21: Fault.CERTIFICATE_ISSUER,
    62: Fault.CERTIFICATE_NAME,
    64: Fault.CERTIFICATE_NAME,  # an IP address that the certificate does not list
}
# Plain text where a TLS record was expected shows as one of these.
_WRONG_PORT_REASONS = {"WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}

_DNS_TEMPORARY = {socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM}

_ERRNO_FAULTS = {
    errno.ECONNREFUSED: Fault.REFUSED,
    errno.ETIMEDOUT: Fault.CONNECT_TIMEOUT,
    errno.ENETUNREACH: Fault.UNREACHABLE,
    errno.EHOSTUNREACH: Fault.UNREACHABLE,
    errno.ENETDOWN: Fault.UNREACHABLE,
    errno.EADDRNOTAVAIL: Fault.UNREACHABLE,
    errno.EACCES: Fault.UNREACHABLE,
    errno.EPERM: Fault.UNREACHABLE,
    errno.ECONNRESET: Fault.DISCONNECTED,
    errno.EPIPE: Fault.DISCONNECTED,
    errno.EMFILE: Fault.EXHAUSTED,
    errno.ENFILE: Fault.EXHAUSTED,
    errno.ENOMEM: Fault.EXHAUSTED,
    errno.ENOBUFS: Fault.EXHAUSTED,
}


def connect_fault(error: OSError | TimeoutError) -> Fault:
    """Why looking up the name or connecting failed. The order matters: gaierror and TimeoutError are OSErrors too."""
    if isinstance(error, socket.gaierror):
        return Fault.DNS_TEMPORARY if error.errno in _DNS_TEMPORARY else Fault.DNS
    if isinstance(error, TimeoutError):
        return Fault.CONNECT_TIMEOUT
    return _ERRNO_FAULTS.get(error.errno or 0, Fault.UNREACHABLE)


def tls_fault(error: Exception) -> Fault:
    """Why the TLS handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE_FAULTS.get(error.verify_code, Fault.CERTIFICATE)
    if isinstance(error, ssl.SSLError) and error.reason in _WRONG_PORT_REASONS:
        return Fault.TLS_WRONG_PORT
    return Fault.TLS


def seen(error: BaseException) -> str:
    """What the system said of it, in one line for the log and for the last line of the explanation."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message)
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or "the connection was closed"
