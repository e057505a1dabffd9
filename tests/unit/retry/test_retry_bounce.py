"""Bounces and notices as others read them: Python's email package, flufl.bounce, and the RFCs' own field names."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import pytest
from flufl.bounce import all_failures, scan_message

from relay.explain.book import Book
from relay.explain.failure import Failure
from relay.explain.shelf import shipped_chapters
from relay.retry.bounce import Report, Told, compose, header_of, parameters_of, wants, wants_whole
from relay.retry.letter import Kind, Letter, Recipient
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.smtp.command import Path

if TYPE_CHECKING:
    from email.message import EmailMessage

NOW = datetime(2026, 3, 2, 8, 15, tzinfo=UTC)
UNKNOWN = Reply(Phase.RCPT, 550, (b"5.1.1 <bob@b.test>: Recipient address rejected:", b"5.1.1 User unknown"))
ORIGINAL = b"From: anna@a.test\r\nSubject: The plan\r\n\r\nSecret text\r\n"


@cache
def book() -> Book:
    return Book.read(shipped_chapters())


def report(*recipients: Recipient, sender: str = "<anna@a.test>", parameters: str = "", **more: object) -> Report:
    path = Path(sender.encode(), parameters.encode())
    letter = Letter("0LETTER", Kind.MAIL, path, 100, recipients, age=7200.0, attempts=4)
    told = tuple(
        Told(each, book().explain(Failure(each.said, upstream="mx.b.test", recipient=each.path.address)))
        for each in recipients
    )
    original = ORIGINAL if wants_whole(path) else header_of(ORIGINAL)
    given = Report("0BOUNCE", letter, told, original, "relay.a.test", "mx.b.test", NOW, NOW - timedelta(hours=2))
    return given._replace(**more)


def recipient(address: str = "<bob@b.test>", parameters: str = "", said: Reply = UNKNOWN) -> Recipient:
    return Recipient(0, Path(address.encode(), parameters.encode()), said)


def read(given: Report) -> EmailMessage:
    return email.message_from_bytes(compose(given), policy=email.policy.default)


def fields(message: EmailMessage) -> list[EmailMessage]:
    """The groups of fields in the part for machines: of the message, then of each recipient."""
    status = list(message.iter_parts())[1]
    assert status.get_content_type() == "message/delivery-status"
    return list(status.iter_parts())


def test_it_is_a_report_of_three_parts_that_names_address_and_status():
    message = read(report(recipient()))
    assert message.get_content_type() == "multipart/report"
    assert message["Content-Type"].params["report-type"] == "delivery-status"
    assert (message["To"], message["Auto-Submitted"]) == ("anna@a.test", "auto-replied")
    whole, bob = fields(message)
    assert whole["Reporting-MTA"] == "dns; relay.a.test"
    assert whole["Arrival-Date"] == "Mon, 02 Mar 2026 06:15:00 +0000"
    assert bob["Final-Recipient"] == "rfc822; bob@b.test"
    assert (bob["Action"], bob["Status"], bob["Remote-MTA"]) == ("failed", "5.1.1", "dns; mx.b.test")
    assert bob["Diagnostic-Code"].startswith("smtp; 550 5.1.1 <bob@b.test>: Recipient address rejected: 550 5.1.1 User")
    assert "Will-Retry-Until" not in bob


def test_an_independent_reader_finds_the_same_addresses():
    later = Reply(Phase.RCPT, 452, (b"4.2.2 Mailbox full",))
    given = report(recipient(), recipient("<carl@c.test>", said=later))
    temporary, permanent = all_failures(email.message_from_bytes(compose(given)))
    assert permanent == {b"bob@b.test", b"carl@c.test"}
    assert temporary == set()


def test_a_notice_is_no_failure_for_it():
    given = report(recipient(said=Reply(Phase.RCPT, 450, (b"4.2.0 Greylisted",))), until=NOW + timedelta(days=4))
    assert scan_message(email.message_from_bytes(compose(given))) == set()
    _, bob = fields(read(given))
    assert (bob["Action"], bob["Status"]) == ("delayed", "4.2.0")
    assert bob["Will-Retry-Until"] == "Fri, 06 Mar 2026 08:15:00 +0000"
    assert "you need not send it again" in read(given).get_body().get_content()


def test_the_part_for_people_is_in_the_words_of_the_book():
    text = read(report(recipient())).get_body().get_content()
    assert 'with the subject "The plan"' in text
    assert "The recipient address bob@b.test does not exist." in text
    assert "Whose move: yours." in text
    assert "It was tried 6 times" in text


def test_a_subject_in_encoded_words_is_shown_as_it_reads():
    given = report(recipient(), original=b"Subject: =?utf-8?q?Pl=C3=A4ne?=\r\n =?utf-8?q?_f=C3=BCr?= 2027\r\n")
    assert 'with the subject "Pläne für 2027"' in read(given).get_body().get_content()
    broken = report(recipient(), original=b"Subject: =?no-such?q?x?= \xff\x1b\r\n")
    assert "with the subject" in read(broken).get_body().get_content()


def test_the_header_comes_back_or_with_ret_full_the_whole():
    header = list(read(report(recipient())).iter_parts())[2]
    assert header.get_content_type() == "text/rfc822-headers"
    assert "Subject: The plan" in header.get_content()
    assert "Secret text" not in header.get_content()
    whole = list(read(report(recipient(), parameters=" SIZE=9 RET=FULL")).iter_parts())[2]
    assert whole.get_content_type() == "message/rfc822"
    assert "Secret text" in whole.get_content().get_content()


def test_what_the_sender_gave_to_recognise_it_comes_back():
    whole, bob = fields(
        read(report(recipient(parameters=" ORCPT=rfc822;Bob+2Bx@b.test"), parameters=" ENVID=QQ314+3D"))
    )
    assert whole["Original-Envelope-Id"] == "QQ314="
    assert bob["Original-Recipient"] == "rfc822; Bob+x@b.test"


@pytest.mark.parametrize(
    ("parameters", "failure", "delay"),
    [
        ("", True, True),
        (" NOTIFY=NEVER", False, False),
        (" notify=failure", True, False),
        (" NOTIFY=SUCCESS,DELAY", False, True),
        (" ORCPT=rfc822;x NOTIFY=FAILURE,DELAY", True, True),
    ],
)
def test_the_sender_hears_what_he_wants_to_hear(parameters: str, *, failure: bool, delay: bool):
    path = Path(b"<bob@b.test>", parameters.encode())
    assert (wants(path, b"FAILURE"), wants(path, b"DELAY")) == (failure, delay)


def test_addresses_that_are_not_ascii_are_reported_as_such():
    given = report(
        recipient("<jürgen@b.test>", " ORCPT=utf-8;j\\x{FC}rgen@b.test"), sender="<änne@a.test>", parameters=" SMTPUTF8"
    )
    octets = compose(given)
    message = email.message_from_bytes(octets, policy=email.policy.SMTPUTF8)
    status = list(message.iter_parts())[1]
    assert status.get_content_type() == "message/global-delivery-status"
    assert "To: <änne@a.test>\r\n".encode() in octets
    assert "Final-Recipient: utf-8; jürgen@b.test\r\n".encode() in octets
    assert "Original-Recipient: utf-8; jürgen@b.test\r\n".encode() in octets
    assert list(message.iter_parts())[2].get_content_type() == "message/global-headers"
    assert parameters_of(octets, utf8=True) == b" BODY=8BITMIME SMTPUTF8"
    assert parameters_of(b"plain", utf8=False) == b""


def test_a_hostile_server_cannot_write_a_field_of_its_own():
    hostile = Reply(Phase.RCPT, 550, (b"5.1.1 x\rFinal-Recipient: rfc822; eve@e.test\x1b[2J \xff" + b"y" * 400,))
    octets = compose(report(recipient(said=hostile)))
    assert b"\nFinal-Recipient: rfc822; eve" not in octets
    assert octets.isascii()
    assert max(map(len, octets.split(b"\r\n"))) < 200
    assert all_failures(email.message_from_bytes(octets))[1] == {b"bob@b.test"}


def test_where_no_server_spoke_none_is_quoted():
    _, bob = fields(read(report(recipient(said=reply_for(Fault.REFUSED, Phase.CONNECT, "mx.b.test:25")))))
    assert bob["Diagnostic-Code"] == "x-explaining-relay; mx.b.test:25 refused the connection"
    assert "Remote-MTA" not in bob


@pytest.mark.parametrize("subject", ["=?\xe4?q?x?=", "=?a?q?x" * 36_000, "=?utf-8?b?x?=" * 9000, "x" * 300_000])
def test_no_subject_hinders_a_bounce(subject: str):
    original = b"Subject: " + subject.encode("latin-1") + b"\r\n\r\nx\r\n"
    message = read(report(recipient())._replace(original=original))
    assert "bob@b.test" in message.as_string()


def test_a_bounce_may_come_without_anything_of_the_original():
    message = read(report(recipient())._replace(original=b""))
    assert all_failures(message)[1] == {b"bob@b.test"}
