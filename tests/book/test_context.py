"""The context rules of the book, each a test: the code never decides alone, and an unknown text is never guessed at."""

from __future__ import annotations

import pytest

from relay.explain import Book, Reason, shipped_chapters
from relay.explain.heard import example

BOOK = Book.read(shipped_chapters())


@pytest.mark.parametrize(
    ("written", "page_id"),
    [
        ("[phase=rcpt login=no] 554 5.7.1 <bob@example.net>: Relay access denied", "relay-denied-without-login"),
        ("[phase=rcpt login=yes] 554 5.7.1 <bob@example.net>: Relay access denied", "relay-denied-with-login"),
        ("[phase=rcpt] 554 5.7.1 <bob@example.net>: Relay access denied", "relay-denied"),
        ("[phase=mail] 530 5.7.57 Client was not authenticated to send anonymous mail", "microsoft-not-authenticated"),
        ("[phase=auth] 454 4.7.0 x1", "code-454-auth"),
        ("[phase=starttls] 454 4.7.0 x1", "code-454-starttls"),
        ("[phase=rcpt] 550 5.4.1 Recipient address rejected: Access denied", "microsoft-recipient-access-denied"),
        ("[phase=auth] 550 User has no permission", "login-switched-off"),
        ("[phase=ehlo] 550 5.7.1 x1", "status-7-arrival"),
        ("[phase=message] 550 x1", "code-550-message"),
    ],
)
def test_the_moment_decides(written, page_id):
    assert BOOK.explain(example(written)).id == page_id


@pytest.mark.parametrize(
    "words", ["User unknown", "Blocked by spamhaus", "Mailbox full", "Message too big", "x1", "Relaying denied"]
)
@pytest.mark.parametrize("code", [535, 550, 553, 554, 501])
def test_at_auth_every_5xx_is_about_the_login(words, code):
    found = BOOK.explain(example(f"[phase=auth] {code} {words}"))
    assert found.reason in {
        Reason.AUTHCREDENTIALS, Reason.AUTHMECHANISM, Reason.AUTHDISABLED, Reason.APPPASSWORD, Reason.AUTHREQUIRED,
        Reason.ACCOUNTBLOCKED, Reason.AUTHTEMPORARY, Reason.STARTTLSREQUIRED,
    } or found.id == "code-5xx-auth"  # fmt: skip


def test_account_disabled_is_the_sender_at_mail_and_the_recipient_at_rcpt():
    assert BOOK.explain(example("[phase=mail] 550 Your account is disabled")).reason is Reason.ACCOUNTBLOCKED
    assert BOOK.explain(example("[phase=rcpt] 550 5.2.1 Account disabled")).reason is Reason.SUSPEND


@pytest.mark.parametrize("phase", ["connect", "ehlo"])
def test_blocked_on_arrival_is_about_the_sending_machine(phase):
    assert BOOK.explain(example(f"[phase={phase}] 554 Your host is blocked")).reason is Reason.BLOCKED


@pytest.mark.parametrize("words", ["192.5.7.8 x1", "552@qq.com x1", "535 KB x1", "4.2.2 x1"])
def test_no_code_is_read_from_an_address_or_a_size(words):
    assert BOOK.explain(example(f"550 {words}")).id == "code-550"


def test_the_opening_is_the_verdict_when_history_is_quoted():
    written = "554 5.4.7 Message expired: unable to deliver in 840 minutes. <550 5.1.1 User unknown>"
    assert BOOK.explain(example(written)).reason is Reason.EXPIRED


def test_the_decisive_line_need_not_be_the_first():
    written = "550-5.7.1 Hello from mx.example.net\n550-5.7.1 We are sorry\n550 5.7.1 blocked using zen.spamhaus.org"
    assert BOOK.explain(example(written)).reason is Reason.BLOCKED


@pytest.mark.parametrize("phase", ["connect", "ehlo", "mail", "rcpt", "message"])
@pytest.mark.parametrize(
    "words", ["xyzzy 17", "Ask Bob", "Err. 0x80", "q7.-12", "See attached memorandum of understanding"]
)
@pytest.mark.parametrize("code", ["550", "554", "450", "451", "550 5.7.1", "554 5.0.0"])
def test_unknown_words_are_not_guessed_at(phase, words, code):
    assert BOOK.explain(example(f"[phase={phase}] {code} {words}")).reason is Reason.UNDEFINED


def test_a_good_reply_is_never_taken_for_a_refusal():
    assert BOOK.explain(example("250 2.1.5 Mailbox full of joy, user unknown")).id == "status-1-5"
