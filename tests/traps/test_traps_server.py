"""Traps of aiosmtpd: what the bare class does, and that the relay does not. The docstrings name them as WIRE does."""

from __future__ import annotations

import asyncio
import logging

from aiosmtpd.smtp import SMTP, AuthResult

from relay.proxy.commands import COMMANDS


async def test_recipients_may_have_parameters(bare, relay_passes):
    """S1"""
    client = await bare()
    await client.say(b"MAIL FROM:<a@b.test>\r\n")
    assert (await client.say(b"RCPT TO:<c@d.test> NOTIFY=NEVER\r\n")).startswith(b"555 ")
    await relay_passes("parameters-keep-their-case")


async def test_parameters_keep_their_case(bare, handler, relay_passes):
    """S2"""
    client = await bare()
    await client.say(b"MAIL FROM:<a@b.test> body=8bitmime\r\n")
    await client.say(b"RCPT TO:<c@d.test>\r\n")
    await client.say(b"DATA\r\n")
    await client.say(b"hello\r\n.\r\n")
    assert handler.envelopes[0].mail_options == ["BODY=8BITMIME"]
    await relay_passes("parameters-keep-their-case")


async def test_the_null_sender_stays_itself(bare, handler, relay_passes):
    """S3"""
    client = await bare()
    await client.say(b"MAIL FROM:<>\r\n")
    await client.say(b"RCPT TO:<c@d.test>\r\n")
    await client.say(b"DATA\r\n")
    await client.say(b"hello\r\n.\r\n")
    assert handler.envelopes[0].mail_from == "<>"
    await relay_passes("null-sender")


def _no(*_: object) -> AuthResult:
    return AuthResult(success=False)


async def test_a_mechanism_in_lower_case_is_known(bare, relay_passes):
    """S4"""
    client = await bare(auth_require_tls=False, authenticator=_no)
    assert (await client.say(b"AUTH login\r\n")).startswith(b"504 ")
    await relay_passes("auth-login-lower-case")


async def test_login_challenges_are_those_that_programs_know(bare, relay_passes):
    """S6"""
    client = await bare(auth_require_tls=False, authenticator=_no)
    assert await client.say(b"AUTH LOGIN\r\n") != b"334 VXNlcm5hbWU6\r\n"
    await relay_passes("auth-login-lower-case")


async def test_words_that_are_not_ascii_do_not_turn_into_500(bare, handler, relay_passes):
    """S7"""

    async def refuse(*_: object) -> str:
        return "451 4.7.1 später"

    handler.handle_MAIL = refuse
    client = await bare()
    assert (await client.say(b"MAIL FROM:<a@b.test>\r\n")).startswith(b"500 ")
    await relay_passes("hostile-words")


async def test_an_idle_client_is_told_before_it_is_cut(bare, relay_passes):
    """S10"""
    client = await bare(timeout=0.1)
    assert await client.hear() == b""
    await relay_passes("idle-client")


async def test_a_slow_upstream_costs_the_client_no_connection(bare, handler, relay_passes):
    """S9"""
    release = asyncio.Event()

    async def slow(*_: object) -> str:
        await release.wait()
        return "250 OK"

    handler.handle_MAIL = slow
    client = await bare(timeout=0.1)
    assert await client.say(b"MAIL FROM:<a@b.test>\r\n") == b""
    release.set()
    await relay_passes("slow-upstream-is-not-an-idle-client")


async def test_a_half_close_does_not_cost_the_answer(bare, handler, relay_passes):
    """S11"""
    started = asyncio.Event()

    async def slow(*_: object) -> str:
        started.set()
        await asyncio.sleep(0.05)
        return "250 OK"

    handler.handle_RSET = slow
    client = await bare()
    said = asyncio.create_task(client.say(b"RSET\r\n"))
    await started.wait()
    client.half_close()
    assert await said == b""
    await relay_passes("half-close-finishes")


async def test_extensions_of_the_upstream_are_offered(bare, relay_passes):
    """S15"""
    client = await bare(hello=False)
    offered = await client.say(b"EHLO client.test\r\n")
    assert b"PIPELINING" not in offered and b"DSN" not in offered
    await relay_passes("ehlo-offers-what-can-be-relayed")


async def test_a_path_keeps_its_octets(bare, handler, relay_passes):
    """S17"""
    client = await bare()
    await client.say(b"MAIL FROM:<a@b.test>\r\n")
    await client.say(b"RCPT TO:<@x.test:c@d.test>\r\n")
    await client.say(b"DATA\r\n")
    await client.say(b"hello\r\n.\r\n")
    assert handler.envelopes[0].rcpt_tos == ["c@d.test"]
    await relay_passes("paths-as-they-came")


async def test_421_closes(bare, handler, relay_passes):
    """S18"""

    async def leave(*_: object) -> str:
        return "421 4.3.2 closing"

    handler.handle_MAIL = leave
    client = await bare()
    assert (await client.say(b"MAIL FROM:<a@b.test>\r\n")).startswith(b"421 ")
    assert (await client.say(b"NOOP\r\n")).startswith(b"250 ")
    await relay_passes("mail-421")


_BUG = """
ready
client> NOOP
client< 451 4.3.0 ... never: secret detail
client> RSET
client< 250 2.0.0 OK
"""


def _broken(*_: object) -> bool:
    raise OSError("secret detail")


async def test_an_exception_is_no_permanent_refusal(bare, handler, monkeypatch):
    """S8"""
    from dialog_player import play  # noqa: PLC0415 -- found only after conftest has set the path

    async def fail(*_: object) -> str:
        raise OSError("secret detail")

    handler.handle_MAIL = fail
    client = await bare()
    said = await client.say(b"MAIL FROM:<a@b.test>\r\n")
    assert said.startswith(b"500 ") and b"secret detail" in said
    monkeypatch.setitem(COMMANDS, b"NOOP", _broken)
    await play(_BUG)


_LONG_MAIL = """
ready
client: connect
client< 220 relay.test ESMTP explaining-relay
client> HELO other.test
client< 250 relay.test
client> MAIL FROM:<a@b.test> ENVID=LONG
upstream< MAIL FROM:<a@b.test> ENVID=LONG
upstream> 250 2.1.0 Ok
client< 250 2.1.0 Ok
"""


async def test_a_limit_of_one_client_is_not_that_of_all(handler):
    """S13"""
    from dialog_player import play  # noqa: PLC0415 -- found only after conftest has set the path

    assert SMTP(handler).command_size_limits is SMTP(handler).command_size_limits
    await play(_LONG_MAIL.replace("LONG", "x" * 900))


async def test_an_unknown_command_is_not_quoted(bare, relay_passes, caplog):
    """S20, and the password that is read as a command after a refused AUTH"""
    client = await bare()
    with caplog.at_level(logging.INFO, "mail.log"):
        assert b"HUNTER2" in (await client.say(b"hunter2\r\n")).upper()
    assert "hunter2" in caplog.text
    await relay_passes("unknown-command")


_LONG_LINE = """
ready
client> MAIL FROM:<a@b.test>
client> RCPT TO:<c@d.test>
client> DATA
upstream< MAIL FROM:<a@b.test>
upstream< RCPT TO:<c@d.test>
upstream< DATA
upstream> 250 1
upstream> 250 2
upstream> 354 3
client< 250 1
client< 250 2
client< 354 3
client> LINE
client> .
upstream< LINE
upstream< .
upstream> 250 4
client< 250 4
"""


async def test_long_lines_in_a_message_pass(bare):
    """S12"""
    from dialog_player import play  # noqa: PLC0415 -- found only after conftest has set the path

    client = await bare()
    await client.say(b"MAIL FROM:<a@b.test>\r\n")
    await client.say(b"RCPT TO:<c@d.test>\r\n")
    await client.say(b"DATA\r\n")
    assert (await client.say(b"x" * 2000 + b"\r\n.\r\n")).startswith(b"500 ")
    await play(_LONG_LINE.replace("LINE", "x" * 2000))
