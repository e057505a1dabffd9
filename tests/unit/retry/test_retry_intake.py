"""The way into the spool: limits, and a database that does not take what it is given."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from relay.retry import insist
from relay.retry.intake import Intake, Terms
from relay.retry.letter import Kind, Letter, Recipient, State, new_id
from relay.retry.schedule import Plan
from relay.retry.spool import Body
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.smtp.command import Path as MailPath

if TYPE_CHECKING:
    from pathlib import Path

LATER = Reply(Phase.RCPT, 450, (b"4.2.0 Greylisted",))
PLAN = Plan(60, 14400, 432000, None)
NO_LOGIN: Any = SimpleNamespace(done=False, credentials=None)
LETTER = Letter(new_id(), Kind.MAIL, MailPath(b"<a@a.test>"), 9, (Recipient(0, MailPath(b"<b@b.test>"), LATER),))


class Database:
    """A spool that counts what it holds, and fails as it is told to."""

    def __init__(self, held: tuple[int, int] = (0, 0), failure: Exception | None = None, failures: int = 0) -> None:
        self.held = held
        self.failure = failure
        self.failures = failures  # of a promise, before it is written
        self.promised: list[str] = []

    async def usage(self) -> tuple[int, int]:
        return self.held

    async def add(self, *_: object, **__: object) -> None:
        if self.failure is not None:
            raise self.failure

    async def promise(self, letter_id: str) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise OperationalError("UPDATE", {}, Exception("database is locked"))
        self.promised.append(letter_id)


class Log:
    def __init__(self) -> None:
        self.errors: list[str] = []

    def error(self, event: str, **fields: Any) -> None:
        self.errors.append(f"{event} {fields}")


def intake(database: Any, log: Any = None, *, disk: Path | None = None, free: int = 0) -> Intake:
    return Intake(database, Terms(10, 1000, free, disk, PLAN, None), log or Log())


@pytest.mark.parametrize(("held", "size", "fits"), [((9, 0), 1000, True), ((10, 0), 1, False), ((1, 500), 501, False)])
async def test_messages_and_octets_are_limited(held: tuple[int, int], size: int, *, fits: bool):
    refusal = await intake(Database(held)).refusal(LATER, NO_LOGIN, size)
    assert (refusal is None) == fits
    assert fits or (refusal.code, refusal.status, refusal.fault) == (452, "4.3.1", Fault.SPOOL_FULL)


async def test_a_disk_is_not_filled(tmp_path: Path):
    full = intake(Database(), disk=tmp_path / "relay.db", free=1 << 62)
    refusal = await full.refusal(LATER, NO_LOGIN, 1)
    assert refusal is not None
    assert refusal.fault is Fault.SPOOL_FULL


async def test_a_login_that_cannot_be_kept_is_told_with_the_upstream_s_code_and_words():
    login: Any = SimpleNamespace(done=True, credentials=None)
    refusal = await intake(Database()).refusal(LATER, login, 1)
    assert refusal is not None
    assert (refusal.code, refusal.fault) == (450, Fault.SPOOL_LOGIN)
    assert "450 Greylisted" in refusal.text


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("database or disk is full", Fault.SPOOL_FULL),
        ("could not extend file: No space left on device\nDETAIL: S3CRET", Fault.SPOOL_FULL),
        ("database is locked", Fault.SPOOL_FAILED),
    ],
)
async def test_what_is_not_written_is_not_promised_and_the_mail_is_not_quoted(words: str, fault: Fault):
    log = Log()
    broken = OperationalError("INSERT S3CRET", {"octets": "S3CRET"}, Exception(words))
    failure = await intake(Database(failure=broken), log).add(
        LETTER, Body(1, lambda: [b"x"]), NO_LOGIN, state=State.QUEUED
    )
    assert failure is not None
    assert failure.fault is fault
    assert failure.transient
    assert len(log.errors) == 1
    assert "S3CRET" not in log.errors[0]


@pytest.mark.parametrize(("failures", "kept"), [(0, True), (2, True), (4, True), (5, False)])
async def test_a_promise_whose_live_half_is_delivered_is_insisted_on(monkeypatch, failures: int, *, kept: bool):
    """Told to send the mail again, the client would send it again to those who have it."""
    monkeypatch.setattr(insist, "_PAUSES_SECONDS", (0.0,) * 4)
    database, log = Database(failures=failures), Log()
    failure = await intake(database, log).promise(LETTER.id)
    assert database.promised == [LETTER.id] * kept
    assert (failure is None) == kept
    assert kept or failure.fault is Fault.SPOOL_FAILED
    assert len(log.errors) == failures


def test_an_upstream_that_is_down_is_not_asked_by_every_mail():
    known = intake(Database())
    assert known.known_down() is None
    known.note(LATER)
    assert known.known_down() is None
    down = reply_for(Fault.REFUSED, Phase.CONNECT)
    known.note(down)
    assert known.known_down() is down
