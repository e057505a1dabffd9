"""Traps of aiosmtplib: what the bare class does, and that the relay does not. The docstrings name them as WIRE does."""

from __future__ import annotations

import aiosmtplib
import pytest

_HELLO = (b"220 upstream.test\r\n", b"250-upstream.test\r\n250 AUTH CRAM-MD5 PLAIN LOGIN\r\n")


@pytest.fixture
async def connected(scripted):
    clients: list[aiosmtplib.SMTP] = []

    async def connect(*says: bytes, hello: tuple[bytes, ...] = _HELLO) -> tuple[aiosmtplib.SMTP, list[bytes]]:
        port, heard = await scripted(*hello, *says)
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, timeout=1, local_hostname="x.test", start_tls=None)
        clients.append(client)
        await client.connect()
        return client, heard

    yield connect
    for client in clients:
        client.close()


async def test_a_second_reply_does_not_answer_the_next_command(connected, relay_passes):
    """C1"""
    client, _ = await connected(b"250 sender\r\n250 nobody asked\r\n", b"550 5.1.1 no such user\r\n")
    await client.mail("a@b.test")
    assert (await client.rcpt("nobody@d.test")).code == 250
    await relay_passes("two-replies-in-one-segment")


async def test_one_wrong_password_is_one_failure(connected, relay_passes):
    """C3"""
    wrong = b"535 5.7.8 wrong\r\n"
    client, heard = await connected(b"334 PDE+\r\n", wrong, wrong, b"334 VXNlcm5hbWU6\r\n", wrong)
    with pytest.raises(aiosmtplib.SMTPException):
        await client.login("alice", "wrong")
    assert len([line for line in heard if line.startswith(b"AUTH")]) > 1
    await relay_passes("auth-refused")


async def test_an_address_is_not_rewritten(connected, relay_passes):
    """C4"""
    client, heard = await connected(b"250 ok\r\n", b"250 ok\r\n")
    await client.mail("a:b@x.test")
    assert heard[-1] != b"MAIL FROM:<a:b@x.test>\r\n"
    await relay_passes("paths-as-they-came")


_WILL_TRY = """
ready
client> MAIL FROM:<a@b.test>
upstream< MAIL FROM:<a@b.test>
upstream> 250 2.1.0 Ok
client< 250 2.1.0 Ok
client> RCPT TO:<c@d.test>
upstream< RCPT TO:<c@d.test>
upstream> 252 2.1.5 Will try
client< 252 2.1.5 Will try
client> DATA
upstream< DATA
upstream> 354 Go
client< 354 Go
client> .
upstream< .
upstream> 250 2.0.0 Ok
client< 250 2.0.0 Ok
"""


async def test_a_success_is_told_by_its_first_digit(connected):
    """C10"""
    from dialog_player import play  # noqa: PLC0415 -- found only after conftest has set the path

    client, _ = await connected(b"250 ok\r\n", b"252 will try\r\n")
    await client.mail("a@b.test")
    with pytest.raises(aiosmtplib.SMTPRecipientRefused):
        await client.rcpt("c@d.test")
    await play(_WILL_TRY)


async def test_two_codes_in_one_reply_are_not_believed(connected, relay_passes):
    """C15"""
    client, _ = await connected(b"250 ok\r\n", b"550-no such user\r\n250 ok\r\n")
    await client.mail("a@b.test")
    assert (await client.rcpt("nobody@d.test")).code == 250
    await relay_passes("mixed-codes")


async def test_what_ehlo_was_told_is_kept(connected, relay_passes):
    """C12"""
    told = (b"220 upstream.test\r\n", b"550 5.7.1 the true cause\r\n", b"502 HELO is unknown\r\n")
    with pytest.raises(aiosmtplib.SMTPHeloError) as caught:
        await connected(hello=told)
    assert "the true cause" not in str(caught.value)
    await relay_passes("ehlo-refused")


async def test_a_loss_after_the_dot_is_a_case_of_its_own(connected, relay_passes):
    """C8"""
    before, _ = await connected(b"")
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await before.mail("a@b.test")
    after, _ = await connected(b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"")
    await after.mail("a@b.test")
    await after.rcpt("c@d.test")
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await after.data(b"hello\r\n")
    await relay_passes("outcome-unknown")
    await relay_passes("lost-in-the-message")


async def test_a_reply_has_one_deadline(relay_passes):
    """C14. Here only the relay's side: half a reply is given up in time."""
    await relay_passes("reply-overdue")


async def test_421_at_the_dot_closes(connected, relay_passes):
    """C17"""
    client, _ = await connected(b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"421 not now\r\n")
    await client.mail("a@b.test")
    await client.rcpt("c@d.test")
    with pytest.raises(aiosmtplib.SMTPDataError):
        await client.data(b"hello\r\n")
    assert client.is_connected
    await relay_passes("message-421")


async def test_commands_are_pipelined(relay_passes):
    """C6"""
    assert not [name for name in dir(aiosmtplib.SMTP) if "pipelin" in name.lower()]
    await relay_passes("pipelining")


async def test_a_lone_line_end_is_not_silently_rewritten(connected, relay_passes):
    """C5"""
    client, heard = await connected(b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250 queued\r\n")
    await client.mail("a@b.test")
    await client.rcpt("c@d.test")
    await client.data(b"one\rtwo")
    assert b"one\r\n" in heard
    await relay_passes("bare-newline-refused")


async def test_lines_of_a_reply_cannot_pass_for_others(connected, relay_passes):
    """C13"""
    client, _ = await connected(b"550-one\r\n550 two\x1b[2J\r\n")
    with pytest.raises(aiosmtplib.SMTPSenderRefused) as caught:
        await client.mail("a@b.test")
    assert caught.value.message == "one\ntwo\x1b[2J"
    await relay_passes("hostile-words")


async def test_the_null_sender_can_be_said(connected, relay_passes):
    """S3, the other half"""
    client, _ = await connected()
    with pytest.raises(ValueError, match="<>"):
        await client.mail("<>")
    await relay_passes("null-sender")


_STRIPPED = """
settings: upstream.url=smtp://{upstream}
client< 220 relay.test ESMTP explaining-relay
client> HELO client.test
client< 250 relay.test
client> MAIL FROM:<a@b.test>
upstream: accept
upstream> 220 upstream.test ESMTP
upstream< EHLO relay.test
upstream> 250 upstream.test
upstream< QUIT
client< 451 4.7.4 ... STARTTLS
"""


async def test_a_stripped_starttls_is_not_silent_plain_text(connected, monkeypatch):
    """C11. The upstream is taken for one that is not on this machine."""
    from dialog_player import play  # noqa: PLC0415 -- found only after conftest has set the path

    client, heard = await connected(b"250 ok\r\n")
    await client.mail("a@b.test")
    assert heard[-1].startswith(b"MAIL FROM:")
    monkeypatch.setattr("relay.upstream.dial.is_loopback", lambda _: False)
    await play(_STRIPPED)
