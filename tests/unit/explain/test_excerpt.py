"""Replies found in bounces, logs and exceptions."""

from __future__ import annotations

import pytest

from relay.explain.excerpt import failures_in
from relay.explain.heard import reply_from
from relay.smtp import Phase

BOUNCE = """\
Content-Type: multipart/report; report-type=delivery-status; boundary="x"

--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.a.test

Final-Recipient: rfc822; bob@b.test
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.b.test
Diagnostic-Code: smtp; 550-5.1.1 No such
    550 5.1.1 user here

Final-Recipient: rfc822; eve@c.test
Action: failed
Status: 5.2.2

Final-Recipient: rfc822; ann@c.test
Action: delivered
Status: 2.0.0
--x--
"""
POSTFIX = (
    "postfix/smtp[1]: 4F: to=<bob@b.test>, relay=mx.b.test[192.0.2.1]:25, dsn=5.7.1, status=bounced "
    "(host mx.b.test[192.0.2.1] said: 554 5.7.1 <bob@b.test>: Relay access denied (in reply to RCPT TO command))"
)
EXIM = (
    "** bob@b.test R=dnslookup T=remote_smtp H=mx.b.test [192.0.2.1]: SMTP error from remote mail server "
    "after RCPT TO:<bob@b.test>: 554 5.7.1 <bob@b.test>: Relay access denied"
)
PYTHON = "smtplib.SMTPRecipientsRefused: {'bob@b.test': (554, b'5.7.1 <bob@b.test>: Relay access denied')}"
EVENT = (
    '{"event":"relay_failure","code":554,"words":["5.7.1 <bob@b.test>: Relay access denied"],'
    '"phase":"rcpt","recipient":"bob@b.test","upstream":"mx.b.test"}'
)


def test_a_bounce_names_each_recipient_that_failed():
    bob, eve = failures_in(BOUNCE)
    assert (bob.recipient, bob.upstream, bob.reply.code, bob.reply.text) == (
        "bob@b.test",
        "mx.b.test",
        550,
        "No such user here",
    )
    assert (eve.recipient, eve.reply.status) == ("eve@c.test", "5.2.2")


@pytest.mark.parametrize("text", [POSTFIX, EXIM, PYTHON, EVENT, POSTFIX + "\n" + POSTFIX])
def test_the_same_refusal_in_the_words_of_several_programs(text):
    (failure,) = failures_in(text)
    assert failure.reply.phase is Phase.RCPT
    assert (failure.reply.code, failure.reply.status) == (554, "5.7.1")
    assert failure.reply.text == "<bob@b.test>: Relay access denied"
    assert failure.recipient == "bob@b.test"


def test_nodemailer():
    (failure,) = failures_in(
        "Error: Invalid login: 535-5.7.8 Username and Password not accepted.\n535 5.7.8 Learn more"
    )
    assert failure.reply.phase is Phase.AUTH
    assert failure.reply.text == "Username and Password not accepted. Learn more"


@pytest.mark.parametrize(
    "text", ["nothing here", "192.0.2.550 x", "a message of 535 KB", "552@qq.com wrote", "took 450 ms"]
)
def test_no_reply_where_there_is_none(text):
    assert failures_in(text) == ()


@pytest.mark.parametrize(
    ("text", "code", "status", "words"),
    [
        ("421", 421, None, ""),
        ("5.1.1", 550, "5.1.1", ""),
        ("4.7.1 later", 450, "4.7.1", "later"),
        ("550-5.7.1 a\n550 5.7.1 b", 550, "5.7.1", "a b"),
        ("192.0.2.1 said no", 0, None, "192.0.2.1 said no"),
    ],
)
def test_a_reply_as_a_person_pastes_it(text, code, status, words):
    reply = reply_from(text)
    assert (reply.code, reply.status, reply.text) == (code, status, words)
