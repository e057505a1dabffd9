"""Why no usable reply came from the upstream, or why the relay itself refused: each is given a Reply of its own."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from relay.smtp.reply import Phase, Reply


class Fault(StrEnum):
    """A failure that no upstream put into words.

    The first group happened on the way to the upstream; the second is the relay's own refusal of what its client did.
    """

    # -- no reply came, or none that can be trusted
    DNS = "dns"  # the upstream's name does not exist
    DNS_TEMPORARY = "dns-temporary"  # no name server answered: usually no network
    REFUSED = "refused"  # nothing listens there
    UNREACHABLE = "unreachable"  # no route to it
    CONNECT_TIMEOUT = "connect-timeout"  # no answer to the attempt to connect
    TIMEOUT = "timeout"  # connected, but the reply did not come in time
    DISCONNECTED = "disconnected"  # the connection broke before the reply
    TLS = "tls"  # the TLS handshake failed
    TLS_NOT_OFFERED = "tls-not-offered"  # encryption is demanded, and the upstream does not offer STARTTLS
    TLS_WRONG_PORT = "tls-wrong-port"  # we spoke TLS to a port that speaks plain SMTP, or the other way round
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_YET_VALID = "certificate-not-yet-valid"
    CERTIFICATE_NAME = "certificate-name"  # issued for another host
    CERTIFICATE_ISSUER = "certificate-issuer"  # self-signed, or issued by an authority that is not trusted here
    CERTIFICATE = "certificate"  # refused for another reason
    AUTH_NO_MECHANISM = "auth-no-mechanism"  # the relay's own login finds no mechanism that both sides know
    GARBLED = "garbled"  # what came is not SMTP, or not an answer to what was asked
    OUTCOME_UNKNOWN = "outcome-unknown"  # lost after the final dot: the message may or may not have been taken
    OFFER_CHANGED = "offer-changed"  # the relay has offered in the upstream's name what this connection to it lacks
    RECIPIENT_LOST = "recipient-lost"  # on another try a recipient is refused that was accepted before
    EXHAUSTED = "exhausted"  # this machine has no descriptor or no memory left for a connection
    LOGIN_LOST = "login-lost"  # the upstream closed the connection that carried this client's login
    BUG = "bug"  # the relay itself failed; the traceback is in its log

    # -- the relay's own refusals
    TOO_MANY_CONNECTIONS = "too-many-connections"
    TOO_MANY_CONNECTIONS_ADDRESS = "too-many-connections-address"
    SHUTTING_DOWN = "shutting-down"
    NOT_ALLOWED = "not-allowed"  # the client's network is not on the listener's list
    LOGIN_REQUIRED = "login-required"  # the listener serves only clients that have logged in
    LOGIN_NOT_ALLOWED = "login-not-allowed"  # this login is not on the listener's list
    TLS_REQUIRED = "tls-required"  # AUTH (or everything) only after STARTTLS on this listener
    AUTH_UNAVAILABLE = "auth-unavailable"  # login is not offered here
    AUTH_MECHANISM = "auth-mechanism"  # a mechanism that cannot pass a relay: bound to the TLS channel or the host name
    TOO_MANY_LOGIN_FAILURES = "too-many-login-failures"
    TOO_MANY_ERRORS = "too-many-errors"
    TOO_MANY_RECIPIENTS = "too-many-recipients"
    MESSAGE_TOO_BIG = "message-too-big"
    BARE_NEWLINE = "bare-newline"
    NUL = "nul"
    IDLE = "idle"
    TOO_SLOW = "too-slow"
    LINE_TOO_LONG = "line-too-long"
    UNKNOWN_COMMAND = "unknown-command"
    NOT_IMPLEMENTED = "not-implemented"  # a command of SMTP that this relay does not serve
    SYNTAX = "syntax"
    BAD_SEQUENCE = "bad-sequence"
    NOT_SMTP = "not-smtp"  # a web browser, a TLS client on a plain port
    NO_RECIPIENTS = "no-recipients"  # DATA without one accepted recipient
    NO_RECIPIENTS_NOW = "no-recipients-now"  # nor were all refused for good
    UTF8_NOT_DECLARED = "utf8-not-declared"  # an address with 8-bit octets, but no SMTPUTF8 in MAIL

    SPOOL_FULL = "spool-full"  # what failed for now cannot be kept: there is no room
    SPOOL_LOGIN = "spool-login"  # nor can this, for it needs the client's own login
    SPOOL_FAILED = "spool-failed"  # nor this: the spool's database does not take it

    @property
    def ours(self) -> bool:
        """Whether the relay itself refused (nothing was wrong with the upstream)."""
        return _WORDING[self].ours

    @property
    def wording(self) -> str:
        """What is seen, as a rule; {upstream} stands for its host and port."""
        return _WORDING[self].text


class _Wording(NamedTuple):
    code: int
    status: str
    text: str
    ours: bool = False


def _ours(code: int, status: str, text: str) -> _Wording:
    return _Wording(code, status, text, ours=True)


# 5xx only where the client's own syntax, size or policy is at fault; the network's faults and ours are 451, or 421
# where the relay closes the connection after it. The text is what was seen: for the log, and for the last line of the
# explanation.
_WORDING: dict[Fault, _Wording] = {
    Fault.DNS: _Wording(451, "4.4.4", "the name {upstream} does not exist in DNS"),
    Fault.DNS_TEMPORARY: _Wording(451, "4.4.3", "no name server could be asked for {upstream}"),
    Fault.REFUSED: _Wording(451, "4.4.1", "{upstream} refused the connection"),
    Fault.UNREACHABLE: _Wording(451, "4.4.1", "there is no network path to {upstream}"),
    Fault.CONNECT_TIMEOUT: _Wording(451, "4.4.1", "{upstream} did not answer the connection attempt"),
    Fault.TIMEOUT: _Wording(451, "4.4.2", "{upstream} did not reply in time"),
    Fault.DISCONNECTED: _Wording(451, "4.4.2", "{upstream} closed the connection without a reply"),
    Fault.TLS: _Wording(451, "4.7.5", "the TLS handshake with {upstream} failed"),
    Fault.TLS_NOT_OFFERED: _Wording(451, "4.7.4", "{upstream} does not offer STARTTLS"),
    Fault.TLS_WRONG_PORT: _Wording(451, "4.7.5", "{upstream} and the relay disagree whether this port speaks TLS"),
    Fault.CERTIFICATE_EXPIRED: _Wording(451, "4.7.5", "the certificate of {upstream} has expired"),
    Fault.CERTIFICATE_NOT_YET_VALID: _Wording(451, "4.7.5", "the certificate of {upstream} is not valid yet"),
    Fault.CERTIFICATE_NAME: _Wording(451, "4.7.5", "the certificate of {upstream} names another host"),
    Fault.CERTIFICATE_ISSUER: _Wording(451, "4.7.5", "the certificate of {upstream} comes from an unknown issuer"),
    Fault.CERTIFICATE: _Wording(451, "4.7.5", "the certificate of {upstream} was refused"),
    Fault.AUTH_NO_MECHANISM: _Wording(451, "4.7.4", "{upstream} offers no login mechanism that the relay can use"),
    Fault.GARBLED: _Wording(451, "4.5.0", "{upstream} did not answer as a mail server does"),
    Fault.OUTCOME_UNKNOWN: _Wording(451, "4.4.2", "the connection to {upstream} was lost before its verdict"),
    Fault.OFFER_CHANGED: _Wording(451, "4.3.5", "{upstream} offers less than it did when the mail program asked"),
    Fault.RECIPIENT_LOST: _Wording(451, "4.5.0", "on another try {upstream} refused a recipient that it had accepted"),
    Fault.EXHAUSTED: _Wording(451, "4.3.1", "this machine has no room for another connection to {upstream}"),
    Fault.BUG: _Wording(451, "4.3.0", "an error inside the relay; its log holds the details"),
    Fault.TOO_MANY_CONNECTIONS: _ours(421, "4.3.2", "too many connections to this relay"),
    Fault.TOO_MANY_CONNECTIONS_ADDRESS: _ours(421, "4.7.0", "too many connections from this address"),
    Fault.SHUTTING_DOWN: _ours(421, "4.3.2", "the relay is shutting down"),
    Fault.NOT_ALLOWED: _ours(554, "5.7.1", "this network may not use this relay"),
    Fault.LOGIN_REQUIRED: _ours(530, "5.7.0", "this relay serves only clients that have logged in"),
    Fault.LOGIN_NOT_ALLOWED: _ours(550, "5.7.1", "this login may not use this relay"),
    Fault.TLS_REQUIRED: _ours(530, "5.7.0", "STARTTLS must come first"),
    Fault.AUTH_UNAVAILABLE: _ours(502, "5.5.1", "login is not available here"),
    Fault.AUTH_MECHANISM: _ours(504, "5.5.4", "this login mechanism cannot be passed through a relay"),
    Fault.TOO_MANY_LOGIN_FAILURES: _ours(421, "4.7.0", "too many failed logins on this connection"),
    Fault.TOO_MANY_ERRORS: _ours(421, "4.7.0", "too many errors on this connection"),
    Fault.TOO_MANY_RECIPIENTS: _ours(452, "4.5.3", "too many recipients in one message"),
    Fault.MESSAGE_TOO_BIG: _ours(552, "5.3.4", "the message is larger than this relay passes on"),
    Fault.BARE_NEWLINE: _ours(550, "5.6.11", "a CR or LF stands alone in the message"),
    Fault.NUL: _ours(550, "5.6.0", "a NUL octet stands in the message"),
    Fault.IDLE: _ours(421, "4.4.2", "nothing was sent for too long"),
    Fault.TOO_SLOW: _ours(421, "4.4.2", "the message came too slowly"),
    Fault.LINE_TOO_LONG: _ours(500, "5.5.6", "the command line is too long"),
    Fault.UNKNOWN_COMMAND: _ours(500, "5.5.1", "unknown command"),
    Fault.NOT_IMPLEMENTED: _ours(502, "5.5.1", "this command is not served here"),
    Fault.SYNTAX: _ours(501, "5.5.4", "syntax error in the command"),
    Fault.BAD_SEQUENCE: _ours(503, "5.5.1", "the commands came in a wrong order"),
    Fault.NOT_SMTP: _ours(421, "4.7.0", "what the client sent is not SMTP"),
    Fault.LOGIN_LOST: _Wording(421, "4.4.2", "{upstream} closed the connection after the login"),
    Fault.NO_RECIPIENTS: _ours(554, "5.5.1", "no recipient was accepted"),
    Fault.NO_RECIPIENTS_NOW: _ours(451, "4.5.1", "no recipient was accepted yet"),
    Fault.SPOOL_FULL: _ours(452, "4.3.1", "there is no room to keep the mail for later"),
    Fault.SPOOL_LOGIN: _ours(451, "4.7.0", "mail sent under a client's own login is not kept for later"),
    Fault.SPOOL_FAILED: _ours(451, "4.3.0", "the mail could not be written down to be kept for later"),
    Fault.UTF8_NOT_DECLARED: _ours(553, "5.6.7", "the address is not ASCII and SMTPUTF8 was not declared"),
}


def reply_for(
    fault: Fault, phase: Phase | None, upstream: str = "", detail: str = "", *, closing: bool = False
) -> Reply:
    """The Reply a Fault is given: its code, its enhanced code, and what was seen.

    Args:
        fault: what happened.
        phase: the command that was to be answered.
        upstream: host and port of the server behind us, named in the text.
        detail: what exactly was seen; plain text, replaces the general wording.
        closing: the relay closes the connection after it, which only 421 announces (RFC 5321 section 3.8).
    """
    code, status, text, _ = _WORDING[fault]
    if closing:
        code, status = 421, "4" + status[1:]
    seen = detail or text.format(upstream=upstream or "the upstream")
    return Reply(phase, code, (f"{status} {seen}".encode("utf-8", "replace"),), fault)


def outcome_unknown(cause: Fault, phase: Phase, upstream: str) -> Reply:
    """The Reply where the final dot was sent and no verdict came: the mail may or may not have been taken."""
    silent = f"{upstream} said neither yes nor no in time" if cause is Fault.TIMEOUT else ""
    return reply_for(Fault.OUTCOME_UNKNOWN, phase, upstream, silent)
