"""The context rules of the book, each a test: the code never decides alone, and an unknown text is never guessed at."""

from __future__ import annotations

import pytest

from relay.explain import Book, Failure, Reason, Retry, Who, shipped_chapters
from relay.explain.heard import example
from relay.smtp import Fault, Phase, reply_for

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
        ("[phase=mail] 550 5.7.1 Client was not authenticated", "microsoft-not-authenticated"),
        ("[phase=auth] 454 4.7.0 Temporary authentication failure", "login-service-down"),
        (
            "[phase=rcpt] 554 5.7.1 <bob@example.net>: Recipient address rejected: Access denied",
            "postfix-recipient-access-denied",
        ),
        ("554 5.4.6 Too many hops", "mail-loop"),
        ("550 5.4.6 Unusual sending activity detected. Please try after sometime", "zoho-unusual-activity"),
        ("550 5.4.6 0x1f", "status-4-6"),
        ("[phase=mail login=yes user=a@b.example sender=c@d.example] 550 Sender rejected", "sender-differs-from-login"),
        ("[phase=mail login=yes user=a@b.example sender=a@b.example] 550 Sender rejected", "sender-domain-unknown"),
        ("[phase=mail sender=<>] 550 Sender rejected", "null-sender-refused"),
        ("[phase=mail size=9000 size_limit=8000] 552 x1", "size-over-announced-limit"),
        ("[phase=mail size=7000 size_limit=8000] 552 x1", "code-552"),
        ("[phase=rcpt recipients=51] 452 x1", "recipients-over-usual-limit"),
        ("[phase=rcpt recipients=1] 452 x1", "code-452-rcpt"),
        ("[phase=mail utf8=yes] 501 5.5.4 Syntax error", "letters-beyond-ascii-refused"),
        ("[phase=mail utf8=no] 501 5.5.4 Syntax error", "protocol-words"),
        ("[phase=message eight_bit=yes] 554 5.6.1 Conversion impossible", "eight-bit-refused"),
        ("[phase=auth tls=no] 502 Command not implemented", "login-needs-encryption"),
        ("[phase=auth tls=yes] 503 5.5.1 Error: authentication not enabled", "login-method"),
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


def test_user_has_no_permission_is_a_service_switched_off():
    found = BOOK.explain(example("[phase=auth] 550 User has no permission"))
    assert found.reason is Reason.AUTHDISABLED


@pytest.mark.parametrize("phase", ["connect", "ehlo"])
def test_blocked_on_arrival_is_about_the_sending_machine(phase):
    assert BOOK.explain(example(f"[phase={phase}] 554 Your host is blocked")).reason is Reason.BLOCKED


@pytest.mark.parametrize("words", ["192.5.7.8 x1", "552@qq.com x1", "535 KB x1", "4.2.2 x1"])
def test_no_code_is_read_from_an_address_or_a_size(words):
    assert BOOK.explain(example(f"550 {words}")).id == "code-550"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("554 5.4.7 Message expired: unable to deliver in 840 minutes. <550 5.1.1 User unknown>", Reason.EXPIRED),
        (
            "450 4.2.2 <bob@example.net>... Mailbox full. This message has been in the queue too long.",
            Reason.MAILBOXFULL,
        ),
        ("554 5.4.6 Too many hops, last reply was 550 5.1.1 User unknown", Reason.MAILLOOP),
    ],
)
def test_the_opening_is_the_verdict_when_history_is_quoted(written, reason):
    assert BOOK.explain(example(written)).reason is reason


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (
            "550-5.7.1 Hello from mx.example.net\n550-5.7.1 We are sorry\n550 5.7.1 blocked using zen.spamhaus.org",
            Reason.BLOCKED,
        ),
        (
            "550-Requested action not taken: mailbox unavailable\n550 Sender address is not allowed.",
            Reason.SENDERNOTOWNED,
        ),
        (
            "550-Verification failed for <a@example.com>\n550-No Such User Here\n550 Sender verify failed",
            Reason.REJECTED,
        ),
    ],
)
def test_the_decisive_line_need_not_be_the_first(written, reason):
    assert BOOK.explain(example(written)).reason is reason


@pytest.mark.parametrize("phase", ["connect", "ehlo", "mail", "rcpt", "message"])
@pytest.mark.parametrize(
    "words", ["xyzzy 17", "Ask Bob", "Err. 0x80", "q7.-12", "See attached memorandum of understanding"]
)
@pytest.mark.parametrize("code", ["550", "554", "450", "451", "550 5.7.1", "554 5.0.0"])
def test_unknown_words_are_not_guessed_at(phase, words, code):
    assert BOOK.explain(example(f"[phase={phase}] {code} {words}")).reason is Reason.UNDEFINED


def test_a_good_reply_is_never_taken_for_a_refusal():
    assert BOOK.explain(example("250 2.1.5 Mailbox full of joy, user unknown")).id == "status-1-5"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("[phase=rcpt] 550 5.7.1 192.0.2.9 is listed at bl.example.org", ("192.0.2.9", "bl.example.org")),
        ("551 5.1.6 User has moved; please try <bob.miller@example.org>", ("bob.miller@example.org",)),
        ("[phase=rcpt] 450 4.2.0 Greylisted, come back in 300 seconds", ("300 seconds",)),
        ("[phase=message] 552 Message exceeds maximum message size of 20480000 bytes", ("20480000 bytes",)),
        (
            "[phase=message] 554 5.2.252 SendAsDenied; a@example.com not allowed to send as b@example.org",
            ("a@example.com", "b@example.org"),
        ),
        ("[phase=message] 554 5.7.0 Reject, id=04711-08 - BANNED: invoice.exe", ("invoice.exe",)),
        (
            "[phase=message] 550 spam message rejected. Please visit http://help.mail.ru/notspam-support/id?c=Zk3",
            ("http://help.mail.ru/notspam-support/id?c=Zk3",),
        ),
    ],
)
def test_the_words_name_the_concrete_thing(written, told):
    found = BOOK.explain(example(written))
    words = f"{found.title} {found.meaning} {found.advice}"
    assert [thing for thing in told if thing not in words] == []


@pytest.mark.parametrize(
    ("phase", "page_id"),
    [
        (Phase.CONNECT, "upstream-disconnected-at-connect"),
        (Phase.STARTTLS, "upstream-disconnected-at-starttls"),
        (Phase.AUTH, "upstream-disconnected-at-auth"),
        (Phase.RCPT, "upstream-disconnected"),
        (Phase.MESSAGE, "upstream-disconnected-at-message"),
    ],
)
def test_a_connection_that_breaks_is_explained_by_the_step_it_broke_at(phase, page_id):
    failure = Failure(reply_for(Fault.DISCONNECTED, phase, "mx.example.net:25"), "mx.example.net:25")
    assert BOOK.explain(failure).id == page_id


@pytest.mark.parametrize(
    ("fault", "phase", "page_id"),
    [
        (Fault.OFFER_CHANGED, Phase.DATA, "upstream-offer-changed"),
        (Fault.RECIPIENT_LOST, Phase.MESSAGE, "upstream-recipient-lost"),
        (Fault.EXHAUSTED, Phase.CONNECT, "relay-exhausted"),
        (Fault.NO_RECIPIENTS, Phase.DATA, "relay-no-recipients"),
        (Fault.OUTCOME_UNKNOWN, Phase.MESSAGE, "outcome-unknown"),
        (Fault.DISCONNECTED, Phase.DATA, "upstream-disconnected-at-message"),
    ],
)
def test_what_no_server_said_is_told_by_its_own_page(fault, phase, page_id):
    failure = Failure(reply_for(fault, phase, "mx.example.net:25"), "mx.example.net:25")
    assert BOOK.explain(failure).id == page_id


@pytest.mark.parametrize("fault", [Fault.OFFER_CHANGED, Fault.RECIPIENT_LOST, Fault.EXHAUSTED])
def test_what_a_new_connection_may_mend_is_to_be_sent_again(fault):
    assert BOOK.explain(Failure(reply_for(fault, Phase.DATA))).retry is Retry.LATER


@pytest.mark.parametrize(
    ("fault", "phase", "untrue"),
    [
        # every recipient may have been refused only for now
        (Fault.NO_RECIPIENTS, Phase.DATA, "correct"),
        # it may have gone before one octet of the message was asked for
        (Fault.DISCONNECTED, Phase.DATA, "on its way"),
        # it may have been silent until the relay's time ran out
        (Fault.OUTCOME_UNKNOWN, Phase.MESSAGE, "broke"),
        (Fault.OUTCOME_UNKNOWN, Phase.MESSAGE, "lost"),
    ],
)
def test_no_more_is_told_than_is_known(fault, phase, untrue):
    found = BOOK.explain(Failure(reply_for(fault, phase)))
    assert untrue not in f"{found.title} {found.meaning} {found.advice}"


@pytest.mark.parametrize(
    ("written", "page_id"),
    [
        ("[phase=data] 550 x1", "code-550-data"),
        ("[phase=data] 552 x1", "code-550-data"),
        ("[phase=data] 554 Transaction failed", "code-550-data"),
        ("[phase=message] 554 Transaction failed", "code-550-message"),
        ("[phase=data] 554 5.5.1 Error: no valid recipients", "no-recipient-left"),
        ("[phase=data] 451 x1", "code-451"),
        ("[phase=message] 451 x1", "code-451-message"),
    ],
)
def test_a_refusal_of_the_command_data_is_not_told_as_one_of_the_content(written, page_id):
    assert BOOK.explain(example(written)).id == page_id


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("[phase=rcpt] 452 4.3.1 Disk full", Reason.SYSTEMFULL),
        ("[phase=message] 452 4.3.1 disk full", Reason.SYSTEMFULL),
        ("[phase=mail] 452 4.3.1 disk full", Reason.SYSTEMFULL),
        ("452 4.3.1 Storage full", Reason.SYSTEMFULL),
        ("452 4.3.1 Not enough space for this message", Reason.SYSTEMFULL),
        ("452 4.3.1 <bob@example.net>: Recipient address rejected: disk is full", Reason.SYSTEMFULL),
        ("452 4.3.1 The recipient's mail system is full", Reason.SYSTEMFULL),
        ("452 4.3.1 The server has too many messages", Reason.SYSTEMFULL),
        ("452 disk full (#4.3.1)", Reason.SYSTEMFULL),
        ("452 4.3.1 mailbox full", Reason.MAILBOXFULL),
        ("[phase=rcpt] 452 4.3.1 <bob@example.net>: user over quota", Reason.MAILBOXFULL),
        ("452 4.3.1 Insufficient storage for this user", Reason.MAILBOXFULL),
        ("552 5.3.1 Postfach ist voll", Reason.MAILBOXFULL),
        ("452 4.2.2 Disk full", Reason.MAILBOXFULL),
        # the words may mean a mailbox, the code the server: the book does not decide
        ("452 4.3.1 Disk quota exceeded", Reason.UNDEFINED),
        ("452 4.3.1 Sending quota exceeded", Reason.SENDQUOTA),
    ],
)
def test_a_full_server_is_not_told_as_a_full_mailbox(written, reason):
    assert BOOK.explain(example(written)).reason is reason


@pytest.mark.parametrize("phase", ["connect", "ehlo", "starttls", "mail"])
@pytest.mark.parametrize("reply", ["450", "450 x1", "450 4.2.0 x1", "550 5.2.0 x1", "554 5.2.0 x1", "451 4.2.0 x1"])
def test_no_mailbox_is_to_blame_before_a_recipient_was_named(phase, reply):
    found = BOOK.explain(example(f"[phase={phase}] {reply}"))
    assert "mailbox" not in f"{found.title} {found.meaning} {found.advice}"


@pytest.mark.parametrize("phase", ["rcpt", "data", "message"])
def test_a_mailbox_that_refused_is_named_once_a_recipient_was(phase):
    assert BOOK.explain(example(f"[phase={phase}] 450 4.2.0 x1")).id == "status-2-0"


@pytest.mark.parametrize("phase", ["connect", "ehlo", "starttls", "auth"])
@pytest.mark.parametrize(
    "reply",
    [
        "530 Authentication required",
        "530 5.7.0 Authentication required",
        "530 5.7.1 Please log in first",
        "530 SMTP AUTH is required",
    ],
)
def test_no_sender_is_to_blame_before_one_was_named(phase, reply):
    found = BOOK.explain(example(f"[phase={phase}] {reply}"))
    assert found.id == "login-before-anything"
    assert "sender" not in f"{found.title} {found.meaning} {found.advice}"


@pytest.mark.parametrize("phase", ["ehlo", "starttls"])
@pytest.mark.parametrize("code", [500, 501, 502, 503, 504])
@pytest.mark.parametrize(
    "words",
    ["", "x1", "5.5.1 x1", "5.5.2 x1", "5.5.4 Syntax error", "5.7.4 x1", "Command not recognized", "Bad sequence"],
)
def test_what_the_relay_itself_said_is_not_laid_on_the_sending_program(phase, code, words):
    found = BOOK.explain(example(f"[phase={phase}] {code} {words}".rstrip()))
    assert "sending program" not in f"{found.title} {found.meaning} {found.advice}"
    assert found.who in (Who.SENDER_ADMIN, Who.UPSTREAM)


@pytest.mark.parametrize(
    ("written", "page_id"),
    [
        ("[phase=ehlo] 500 x1", "code-50x-arrival"),
        ("[phase=ehlo] 501 x1", "code-501-arrival"),
        ("[phase=ehlo] 502 5.5.1 x1", "status-5-arrival"),
        ("[phase=ehlo] 502 5.5.2 Error: command not recognized", "protocol-words-arrival"),
        ("[phase=ehlo] 504 x1", "code-504-arrival"),
        ("[phase=starttls] 503 x1", "code-50x-arrival"),
        ("[phase=starttls] 504 5.7.4 x1", "status-7-4-arrival"),
        ("[phase=starttls] 502 5.5.1 STARTTLS not implemented", "tls-unavailable"),
        ("[phase=mail] 500 x1", "code-500"),
        ("[phase=mail] 503 5.5.1 Bad sequence of commands", "protocol-words"),
    ],
)
def test_at_the_start_the_relay_and_the_server_misunderstand_each_other(written, page_id):
    assert BOOK.explain(example(written)).id == page_id
