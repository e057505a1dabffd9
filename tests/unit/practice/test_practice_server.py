"""The practice upstream against real clients: each scenario at its step, everything else accepted."""

from __future__ import annotations

import asyncio
import base64
import smtplib
import socket
from typing import TYPE_CHECKING

import aiosmtplib
import pytest

from relay.practice import start
from relay.practice.scenario import Behaviour, Scenario
from relay.practice.scenarios import all_scenarios
from relay.smtp import Phase

if TYPE_CHECKING:
    from relay.practice import PracticeServer

SENDER, RECIPIENT = "alice@sender.example", "bob@recipient.example"
SPEAKING = tuple(
    each
    for each in all_scenarios()
    if each.behaviour in {Behaviour.REPLY, Behaviour.SECOND_TRY} and each.provider != "a broken server"
)


def at(*phases: Phase) -> pytest.MarkDecorator:
    """Every scenario that answers at these steps."""
    chosen = tuple(each for each in SPEAKING if each.phase in phases)
    return pytest.mark.parametrize("scenario", chosen, ids=lambda each: each.address)


def client(address: tuple[str, int]) -> smtplib.SMTP:
    return smtplib.SMTP(*address, local_hostname="client.example", timeout=10)


def mail_client(practice: PracticeServer) -> aiosmtplib.SMTP:
    host, port = practice.address
    return aiosmtplib.SMTP(hostname=host, port=port, start_tls=False, local_hostname="client.example", timeout=10)


def dialogue(address: tuple[str, int], scenario: Scenario) -> dict[Phase, tuple[int, bytes]]:
    """Every reply up to the first refusal, as smtplib reads it."""
    by_sender = scenario.phase is Phase.MAIL
    sender, recipient = (scenario.address, RECIPIENT) if by_sender else (SENDER, scenario.address)
    token = base64.b64encode(f"\0{scenario.address}\0pw".encode()).decode()
    heard = {}
    with client(address) as smtp:
        smtp.ehlo()
        steps = {Phase.AUTH: f"AUTH PLAIN {token}"} if scenario.phase is Phase.AUTH else {}
        steps |= {Phase.MAIL: f"MAIL FROM:<{sender}>", Phase.RCPT: f"RCPT TO:<{recipient}>", Phase.DATA: "DATA"}
        for phase, command in (steps | {Phase.MESSAGE: "Subject: x\r\n\r\ny\r\n."}).items():
            smtp.send(f"{command}\r\n")
            heard[phase] = smtp.getreply()
            if heard[phase][0] >= 400:
                break
    return heard


@pytest.mark.parametrize(
    "scenario",
    [each for each in SPEAKING if each.phase not in {Phase.CONNECT, Phase.EHLO}],
    ids=lambda each: each.address,
)
async def test_each_scenario_answers_at_its_step_and_only_there(practice: PracticeServer, scenario: Scenario):
    heard = await asyncio.to_thread(dialogue, practice.address, scenario)
    *before, (phase, (code, text)) = heard.items()
    assert phase is scenario.phase
    assert all(earlier[0] < 400 for _, earlier in before)
    by_sender = scenario.phase is Phase.MAIL
    names = {"sender": scenario.address if by_sender else SENDER, "recipient": scenario.address}
    lines = scenario.reply(**names, domain=scenario.domain).split(b"\r\n")
    assert code == scenario.code
    assert text == b"\n".join(line[4:].strip() for line in lines)
    assert practice.accepted == 0


@pytest.mark.parametrize(
    "scenario", [each for each in SPEAKING if each.phase is Phase.CONNECT], ids=lambda each: each.address
)
async def test_a_sender_can_ask_for_a_refusal_of_the_next_connection(practice: PracticeServer, scenario: Scenario):
    def talk() -> smtplib.SMTPConnectError:
        with client(practice.address) as smtp:
            smtp.ehlo()
            with pytest.raises(smtplib.SMTPServerDisconnected):
                smtp.docmd(f"MAIL FROM:<{scenario.address}>")
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            client(practice.address)
        with client(practice.address) as smtp:  # the connection after it is an ordinary one
            assert smtp.noop()[0] == 250
        return refused.value

    error = await asyncio.to_thread(talk)
    assert error.smtp_code == scenario.code
    assert error.smtp_error.count(b"\n") == len(scenario.lines) - 1


@pytest.mark.parametrize("verb", ["EHLO", "HELO"])
@pytest.mark.parametrize(
    "scenario", [each for each in SPEAKING if each.phase is Phase.EHLO], ids=lambda each: each.address
)
async def test_a_refused_name_stays_refused_in_that_connection(practice: PracticeServer, scenario: Scenario, verb: str):
    def talk() -> tuple[tuple[int, bytes], ...]:
        with client(practice.address) as smtp:
            smtp.ehlo()
            with pytest.raises(smtplib.SMTPServerDisconnected):
                smtp.docmd(f"MAIL FROM:<{scenario.address}>")
        with client(practice.address) as smtp:
            replies = smtp.docmd(f"{verb} client.example"), smtp.docmd("HELO client.example")
            assert smtp.docmd(f"MAIL FROM:<{SENDER}>")[0] == 503
            return replies

    for code, text in await asyncio.to_thread(talk):
        assert code == scenario.code
        assert text.decode() == scenario.lines[0][4:].format(helo="client.example")


async def test_a_promise_closes_idle_connections_and_leaves_busy_ones(practice: PracticeServer):
    idle, busy, asking = [mail_client(practice) for _ in range(3)]
    async with busy:
        await idle.connect()
        await asking.connect()
        await asking.ehlo()
        await busy.mail(SENDER)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await asking.mail("ip-blocked@gmx.example")
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await idle.noop()
        assert (await busy.rcpt(RECIPIENT)).code == 250


async def test_greylisting_accepts_the_second_try_and_starts_again_at_the_third(practice: PracticeServer):
    async with mail_client(practice) as smtp:
        await smtp.mail(SENDER)
        with pytest.raises(aiosmtplib.SMTPRecipientRefused) as refused:
            await smtp.rcpt("greylisted@postfix.example")
        assert refused.value.code == 450
        with pytest.raises(aiosmtplib.SMTPRecipientRefused):
            await smtp.rcpt("greylisted@elsewhere.example")
        assert (await smtp.rcpt("greylisted@postfix.example")).code == 250
        await smtp.rset()
        await smtp.mail(SENDER)
        with pytest.raises(aiosmtplib.SMTPRecipientRefused):
            await smtp.rcpt("greylisted@postfix.example")


@pytest.mark.parametrize("name", ["drops-connection", "drops-at-data", "drops-after-dot"])
async def test_broken_connections_are_broken_at_their_step(practice: PracticeServer, reports: list[str], name: str):
    smtp = mail_client(practice)
    await smtp.connect()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await smtp.sendmail(SENDER, [f"{name}@broken.example"], b"Subject: x\r\n\r\ny\r\n")
    assert reports[-1].endswith("connection closed")
    assert practice.accepted == 0


async def test_a_server_that_never_replies_can_still_be_stopped(practice: PracticeServer, reports: list[str]):
    async with mail_client(practice) as smtp:
        await smtp.mail(SENDER)
        waiting = asyncio.ensure_future(smtp.rcpt("never-replies@broken.example"))
        while not reports:  # noqa: ASYNC110 - the report is a plain call-back
            await asyncio.sleep(0)
        assert not waiting.done()
        await practice.close()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await waiting


@pytest.mark.parametrize("name", ["slow-reply", "slow-verdict"])
async def test_slow_replies_come_in_the_end(practice: PracticeServer, name: str):
    async with mail_client(practice) as smtp:
        began = asyncio.get_running_loop().time()
        await smtp.sendmail(SENDER, [f"{name}@broken.example"], b"Subject: x\r\n\r\ny\r\n")
        assert asyncio.get_running_loop().time() - began >= 0.05
    assert practice.accepted == 1


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("garbled-reply", b"HTTP/1.1 400 Bad Request\r\n"),
        ("contradictory-reply", b"550-5.1.1 No such user here\r\n250 2.1.5 Ok\r\n"),
        ("misplaced-reply", b"354 End data with <CR><LF>.<CR><LF>\r\n"),
        ("two-replies", b"250 2.1.5 Ok\r\n550 5.1.1 No such user here\r\n"),
    ],
)
async def test_replies_that_are_none_go_out_as_written(practice: PracticeServer, name: str, wire: bytes):
    reader, writer = await asyncio.open_connection(*practice.address)
    writer.write(f"EHLO x\r\nMAIL FROM:<{SENDER}>\r\nRCPT TO:<{name}@broken.example>\r\nNOOP\r\n".encode())
    assert (await reader.readuntil(b"250 2.1.0 Ok\r\n")).startswith(b"220 ")
    assert await reader.readuntil(b"\n250 OK\r\n") == wire + b"250 OK\r\n"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("name", ["unusual-rate@gmail.example", "bare-newline@postfix.example", "shuts-down"])
async def test_421_and_521_close_the_connection(practice: PracticeServer, name: str):
    def talk() -> None:
        with client(practice.address) as smtp:
            with pytest.raises((smtplib.SMTPDataError, smtplib.SMTPRecipientsRefused)):
                smtp.sendmail(SENDER, [name], b"Subject: x\r\n\r\ny\r\n")
            with pytest.raises(smtplib.SMTPServerDisconnected):
                smtp.docmd("NOOP")

    await asyncio.to_thread(talk)


async def test_it_offers_what_it_does(practice: PracticeServer):
    async with mail_client(practice) as smtp:
        reply = await smtp.ehlo()
    assert reply.message.splitlines()[1:] == [
        "SIZE 26214400",
        "8BITMIME",
        "SMTPUTF8",
        "PIPELINING",
        "ENHANCEDSTATUSCODES",
        "AUTH PLAIN LOGIN",
    ]  # fmt: skip - one reply, one line


@pytest.mark.parametrize("method", ["auth_plain", "auth_login"])
async def test_every_other_login_succeeds_and_leaves_no_password(
    practice: PracticeServer, reports: list[str], method: str
):
    async with mail_client(practice) as smtp:
        await smtp.ehlo()
        assert (await getattr(smtp, method)("anybody", "hunter2-secret")).code == 235
    assert not any("hunter2" in each for each in reports)


async def test_logins_by_both_methods_and_in_lower_case_can_be_refused(practice: PracticeServer):
    def talk() -> None:
        with client(practice.address) as smtp:
            smtp.ehlo()
            user = base64.b64encode(b"login-temporary@exim.example").decode()
            assert smtp.docmd(f"auth login {user}") == (334, b"UGFzc3dvcmQ6")
            assert smtp.docmd("cHc=") == (435, b"Unable to authenticate at present")
            assert smtp.docmd("AUTH login") == (334, b"VXNlcm5hbWU6")
            assert smtp.docmd("*")[0] == 501
            assert smtp.docmd("AUTH PLAIN !!!")[0] == 501
            assert smtp.docmd("AUTH CRAM-MD5")[0] == 504

    await asyncio.to_thread(talk)


@pytest.mark.parametrize(
    "command",
    [
        "MAIL FROM:<> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=QQ+2Bx-y AUTH=<> MT-PRIORITY=3 X-NEW=ab;c",
        'mail from:<"a>b c"@x.example>',
        "MAIL FROM:alice@x.example",
        "MAIL FROM: <@relay.example:alice@x.example>",
        "MAIL FROM:<" + "a" * 5000 + "@x.example>",
        "MAIL FROM:<älice@exämple.example> SMTPUTF8",
    ],
)
async def test_whatever_the_relay_passes_on_is_accepted(practice: PracticeServer, command: str):
    reader, writer = await asyncio.open_connection(*practice.address)
    recipient = command.replace("mail from", "rcpt to").replace("MAIL FROM", "RCPT TO").replace("<>", "<b@c.example>")
    _, other = await asyncio.open_connection(*practice.address)  # aiosmtpd's limits must not be shared with it
    text = f"EHLO x\r\n{command}\r\n{recipient} NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@Y.example\r\nQUIT\r\n"
    writer.write(text.encode("latin-1" if "ä" in command else "ascii"))
    heard = await reader.read()
    assert b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n221" in heard
    for each in (writer, other):
        each.close()
        await each.wait_closed()


async def test_messages_of_any_lines_are_accepted_discarded_and_counted(practice: PracticeServer, reports: list[str]):
    long, eight_bit = b"x" * 300_000, bytes(range(128, 256)) * 20
    async with mail_client(practice) as smtp:
        for body in (long, eight_bit, b"..\r\n.x\r\n" + long + b"\r\n", b""):
            await smtp.sendmail("", [RECIPIENT], b"Subject: x\r\n\r\n" + body)
    assert practice.accepted == 4
    assert all(each.endswith("accepted and discarded") for each in reports)


async def test_the_announced_size_is_held(practice: PracticeServer):
    async with mail_client(practice) as smtp:
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
            await smtp.mail(SENDER, options=["SIZE=26214401"])
        assert refused.value.code == 552
        assert (await smtp.mail(SENDER, options=["SIZE=26214400"])).code == 250


async def test_one_refused_recipient_leaves_the_others(practice: PracticeServer):
    async with mail_client(practice) as smtp:
        errors, _ = await smtp.sendmail(SENDER, ["user-unknown@qmail.example", RECIPIENT], b"Subject: x\r\n\r\ny\r\n")
    assert set(errors) == {"user-unknown@qmail.example"}
    assert practice.accepted == 1


async def test_a_verdict_names_the_recipient_that_asked_for_it(practice: PracticeServer):
    async with mail_client(practice) as smtp:
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await smtp.sendmail(SENDER, [RECIPIENT, "no-account-at-dot@yahoo.example"], b"Subject: x\r\n\r\ny\r\n")
    assert "(no-account-at-dot@yahoo.example)" in refused.value.message


async def test_the_sender_can_ask_for_a_verdict_too(practice: PracticeServer):
    async with mail_client(practice) as smtp:
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await smtp.sendmail("send-as-denied@yahoo.example", [RECIPIENT], b"Subject: x\r\n\r\ny\r\n")
        assert refused.value.message == "Request failed; Mailbox unavailable"
        errors, _ = await smtp.sendmail(SENDER, [RECIPIENT], b"Subject: x\r\n\r\ny\r\n")
    assert not errors  # and the next message has nothing to do with it


@pytest.mark.parametrize(
    ("commands", "code"),
    [
        (["MAIL FROM:<a@b.example>"], 503),
        (["EHLO x", "RCPT TO:<a@b.example>"], 503),
        (["EHLO x", "MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>"], 503),
        (["EHLO x", "MAIL FROM:<a@b.example>", "DATA"], 503),
        (["EHLO x", "MAIL a@b.example"], 501),
        (["EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<>"], 501),
        (["EHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<a@b.example>", "DATA now"], 501),
        (["EHLO x", "BDAT 0 LAST"], 500),
    ],
)
async def test_a_wrong_order_and_wrong_commands_are_refused(practice: PracticeServer, commands: list[str], code: int):
    def talk() -> int:
        with client(practice.address) as smtp:
            return [smtp.docmd(each)[0] for each in commands][-1]

    assert await asyncio.to_thread(talk) == code


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "mail.example"])
async def test_it_listens_on_loopback_only(host: str):
    with pytest.raises(ValueError, match="is not loopback"):
        await start(host)


async def test_the_address_can_be_read_and_is_free_again_after_close():
    server = await start()
    host, port = server.address
    assert host == "127.0.0.1"
    with pytest.raises(OSError, match="in use"):
        await start(host, port)
    await server.close()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
