"""Why mail was refused: the closed list of reasons, whose move each usually is, and whether trying again helps."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Who(StrEnum):
    """Whose move it is: who can remove the cause."""

    SENDER = "sender"  # the person who sends, or their settings
    SENDER_ADMIN = "sender_admin"  # whoever runs the sending server or domain
    RECIPIENT = "recipient"
    RECIPIENT_ADMIN = "recipient_admin"
    UPSTREAM = "upstream"  # the server we talk to, or the next one
    NETWORK = "network"
    SOFTWARE = "software"  # the sending program
    NOBODY = "nobody"  # temporary by design
    UNKNOWN = "unknown"


class Retry(StrEnum):
    """Whether sending again, unchanged, helps."""

    LATER = "later"
    NO = "no"
    BY_CODE = "by-code"  # the page leaves it to the first digit: 4xx later, 5xx no


class Reason(StrEnum):
    """What went wrong. The names are a promise: they stand in logs and metrics, and are never renamed or re-used."""

    USERUNKNOWN = "userunknown"
    BADADDRESS = "badaddress"
    HASMOVED = "hasmoved"
    HOSTUNKNOWN = "hostunknown"
    NOTACCEPT = "notaccept"
    SUSPEND = "suspend"
    MAILBOXFULL = "mailboxfull"
    FILTERED = "filtered"
    REJECTED = "rejected"
    SENDERNOTOWNED = "sendernotowned"
    ACCOUNTBLOCKED = "accountblocked"
    SENDQUOTA = "sendquota"
    AUTHREQUIRED = "authrequired"
    AUTHCREDENTIALS = "authcredentials"
    APPPASSWORD = "apppassword"
    AUTHDISABLED = "authdisabled"
    AUTHMECHANISM = "authmechanism"
    AUTHTEMPORARY = "authtemporary"
    STARTTLSREQUIRED = "starttlsrequired"
    FAILEDSTARTTLS = "failedstarttls"
    TOOMANYCONN = "toomanyconn"
    RATELIMITED = "ratelimited"
    GREYLISTED = "greylisted"
    SYSTEMERROR = "systemerror"
    SYSTEMFULL = "systemfull"
    NETWORKERROR = "networkerror"
    MAILLOOP = "mailloop"
    EXPIRED = "expired"
    BLOCKED = "blocked"
    BADREPUTATION = "badreputation"
    REQUIREPTR = "requireptr"
    BADHELO = "badhelo"
    SPFFAIL = "spffail"
    DMARCFAIL = "dmarcfail"
    AUTHFAILURE = "authfailure"
    NORELAYING = "norelaying"
    POLICYVIOLATION = "policyviolation"
    SPAMDETECTED = "spamdetected"
    VIRUSDETECTED = "virusdetected"
    ATTACHMENTBLOCKED = "attachmentblocked"
    MESSAGETOOBIG = "messagetoobig"
    CONTENTERROR = "contenterror"
    LINETOOLONG = "linetoolong"
    SMTPUTF8 = "smtputf8"
    TOOMANYRECIPIENTS = "toomanyrecipients"
    PROTOCOLERROR = "protocolerror"
    UNDEFINED = "undefined"  # the reply does not say: the page then explains what its code means at this point


# What a server says of a login that has failed, or is missing: whoever was to log in must act.
OF_LOGINS = frozenset(
    {
        Reason.AUTHREQUIRED,
        Reason.AUTHCREDENTIALS,
        Reason.APPPASSWORD,
        Reason.AUTHDISABLED,
        Reason.AUTHMECHANISM,
        Reason.AUTHTEMPORARY,
        Reason.STARTTLSREQUIRED,
    }
)


class Usual(NamedTuple):
    """What holds for a reason where its page says nothing else."""

    who: Who
    retry: Retry


USUAL: dict[Reason, Usual] = {
    Reason.USERUNKNOWN: Usual(Who.SENDER, Retry.NO),
    Reason.BADADDRESS: Usual(Who.SENDER, Retry.NO),
    Reason.HASMOVED: Usual(Who.SENDER, Retry.NO),
    Reason.HOSTUNKNOWN: Usual(Who.SENDER, Retry.NO),
    Reason.NOTACCEPT: Usual(Who.RECIPIENT_ADMIN, Retry.NO),
    Reason.SUSPEND: Usual(Who.RECIPIENT, Retry.NO),
    Reason.MAILBOXFULL: Usual(Who.RECIPIENT, Retry.LATER),
    Reason.FILTERED: Usual(Who.RECIPIENT_ADMIN, Retry.NO),
    Reason.REJECTED: Usual(Who.SENDER_ADMIN, Retry.NO),
    Reason.SENDERNOTOWNED: Usual(Who.SENDER, Retry.NO),
    Reason.ACCOUNTBLOCKED: Usual(Who.SENDER, Retry.NO),
    Reason.SENDQUOTA: Usual(Who.SENDER, Retry.LATER),
    Reason.AUTHREQUIRED: Usual(Who.SENDER, Retry.NO),
    Reason.AUTHCREDENTIALS: Usual(Who.SENDER, Retry.NO),
    Reason.APPPASSWORD: Usual(Who.SENDER, Retry.NO),
    Reason.AUTHDISABLED: Usual(Who.SENDER_ADMIN, Retry.NO),
    Reason.AUTHMECHANISM: Usual(Who.SENDER, Retry.NO),
    Reason.AUTHTEMPORARY: Usual(Who.UPSTREAM, Retry.LATER),
    Reason.STARTTLSREQUIRED: Usual(Who.SENDER, Retry.NO),
    Reason.FAILEDSTARTTLS: Usual(Who.UPSTREAM, Retry.BY_CODE),
    Reason.TOOMANYCONN: Usual(Who.NOBODY, Retry.LATER),
    Reason.RATELIMITED: Usual(Who.NOBODY, Retry.LATER),
    Reason.GREYLISTED: Usual(Who.NOBODY, Retry.LATER),
    Reason.SYSTEMERROR: Usual(Who.UPSTREAM, Retry.BY_CODE),
    Reason.SYSTEMFULL: Usual(Who.UPSTREAM, Retry.LATER),
    Reason.NETWORKERROR: Usual(Who.NETWORK, Retry.LATER),
    Reason.MAILLOOP: Usual(Who.RECIPIENT_ADMIN, Retry.NO),
    Reason.EXPIRED: Usual(Who.NETWORK, Retry.NO),
    Reason.BLOCKED: Usual(Who.SENDER_ADMIN, Retry.NO),
    Reason.BADREPUTATION: Usual(Who.SENDER_ADMIN, Retry.LATER),
    Reason.REQUIREPTR: Usual(Who.SENDER_ADMIN, Retry.NO),
    Reason.BADHELO: Usual(Who.SENDER_ADMIN, Retry.NO),
    Reason.SPFFAIL: Usual(Who.SENDER_ADMIN, Retry.NO),
    Reason.DMARCFAIL: Usual(Who.SENDER_ADMIN, Retry.NO),
    Reason.AUTHFAILURE: Usual(Who.SENDER_ADMIN, Retry.NO),
    Reason.NORELAYING: Usual(Who.SENDER, Retry.NO),
    Reason.POLICYVIOLATION: Usual(Who.RECIPIENT_ADMIN, Retry.NO),
    Reason.SPAMDETECTED: Usual(Who.SENDER, Retry.NO),
    Reason.VIRUSDETECTED: Usual(Who.SENDER, Retry.NO),
    Reason.ATTACHMENTBLOCKED: Usual(Who.SENDER, Retry.NO),
    Reason.MESSAGETOOBIG: Usual(Who.SENDER, Retry.NO),
    Reason.CONTENTERROR: Usual(Who.SOFTWARE, Retry.NO),
    Reason.LINETOOLONG: Usual(Who.SOFTWARE, Retry.NO),
    Reason.SMTPUTF8: Usual(Who.UPSTREAM, Retry.NO),
    Reason.TOOMANYRECIPIENTS: Usual(Who.SENDER, Retry.NO),
    Reason.PROTOCOLERROR: Usual(Who.SOFTWARE, Retry.NO),
    Reason.UNDEFINED: Usual(Who.UNKNOWN, Retry.BY_CODE),
}
