"""Programs that have no chapter of their own, because the chapters by subject know their words."""

from __future__ import annotations

import pytest

from relay.explain import Book, Failure, shipped_chapters
from relay.explain.heard import reply_from
from relay.smtp import Phase

REPLIES = [
    # Stalwart
    (Phase.RCPT, "550 5.1.2 Relay not allowed.", "norelaying"),
    (Phase.RCPT, "550 5.1.2 Mailbox does not exist.", "userunknown"),
    (Phase.MAIL, "503 5.5.1 You must authenticate first.", "authrequired"),
    (Phase.AUTH, "535 5.7.8 Authentication credentials invalid.", "authcredentials"),
    (Phase.MAIL, "501 5.5.4 You are not allowed to send from this address.", "sendernotowned"),
    (Phase.MAIL, "452 4.4.5 Rate limit exceeded, try again later.", "ratelimited"),
    # maddy
    (Phase.RCPT, "501 5.1.1 User does not exist", "userunknown"),
    (Phase.RCPT, "550 5.7.25 No PTR record found", "requireptr"),
    (Phase.MAIL, "550 5.7.23 SPF authentication failed", "spffail"),
    (Phase.MAIL, "550 5.7.1 TLS conversation required", "starttlsrequired"),
    (Phase.MESSAGE, "554 5.6.0 Message does not contains a From header field", "contenterror"),
    (Phase.MESSAGE, "550 5.7.1 Message rejected due to local policy", "policyviolation"),
    # Kerio Connect
    (Phase.RCPT, "550 5.7.1 Relaying is denied", "norelaying"),
    (Phase.MAIL, "550 5.7.1 Authentication Required", "authrequired"),
    (Phase.AUTH, "535 Only application passwords are allowed since 2FA is enabled", "apppassword"),
    # Plesk
    (
        Phase.MESSAGE,
        "550 5.7.0 Your message could not be sent. The limit on the number of allowed outgoing messages was exceeded.",
        "sendquota",
    ),
    # Interia
    (Phase.RCPT, "550 5.1.1 Account not found", "userunknown"),
    (Phase.RCPT, "550 5.7.1 Recipient doesn't want your mail", "filtered"),
    (Phase.MAIL, "550 5.7.0 [SPF] host 192.0.2.9 is not allowed to send mail from example.com", "spffail"),
]


@pytest.fixture(scope="module")
def book() -> Book:
    return Book.read(shipped_chapters())


@pytest.mark.parametrize(("phase", "words", "reason"), REPLIES, ids=[words[:60] for _, words, _ in REPLIES])
def test_the_reason_is_known_from_the_words(book: Book, phase: Phase, words: str, reason: str):
    assert book.explain(Failure(reply_from(words, phase))).reason == reason
