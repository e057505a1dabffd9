"""What comes too early, too late, or in the middle of something else: at what moment things happen changes nothing."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import pytest
from hostile_client import Attacker
from hostile_upstream import closes, falls_silent, says, stops_reading

if TYPE_CHECKING:
    from hostile_upstream import Act, Speaker

_ENVELOPE = b"MAIL FROM:<me@here.example>\r\nRCPT TO:<you@there.example>\r\nDATA\r\n"
_MESSAGE = b"Subject: x\r\n\r\nHello.\r\n.\r\n"


@pytest.fixture(scope="module")
def relay(upstream, relay_before):
    with relay_before(
        upstream,
        limits={"message_size": 1000, "errors": 20},
        timeouts={"upstream_reply": 2},
    ) as relay:
        yield relay


@pytest.fixture
def client(behaves, relay):
    with Attacker(relay.addresses[0]) as client:
        client.greet()
        yield client


@pytest.mark.parametrize(
    ("early", "verdict"), [(b"250 2.0.0 Ok: queued\r\n", 451), (b"552 5.2.2 Mailbox full\r\n", 552), (b"25", 451)]
)
def test_what_stands_behind_354_in_one_segment_is_no_verdict_on_a_message_that_lies_ready(
    client, upstream, early, verdict
):
    upstream.acts["DATA"] = says(b"354 Go on\r\n" + early)
    upstream.acts["dot"] = says(b"550 5.7.1 The true verdict\r\n")
    client.say(_ENVELOPE + _MESSAGE + b"NOOP\r\n")
    assert [client.hear().code for _ in range(5)] == [250, 250, 354, verdict, 250]
    assert upstream.messages == []


def test_what_stands_behind_a_refusal_in_one_segment_does_not_answer_the_reset(client, upstream):
    """Else the connection would serve the next client, out of step."""
    upstream.acts["RCPT"] = says(b"550 5.1.1 No such user\r\n250 2.0.0 Ok\r\n")
    assert client.ask("MAIL FROM:<me@here.example>").code == 250
    assert client.ask("RCPT TO:<you@there.example>").code == 550
    client.ask("RSET")
    upstream.acts["RCPT"] = says(b"551 5.7.1 No\r\n")
    assert client.ask("MAIL FROM:<me@here.example>").code == 250
    assert client.ask("RCPT TO:<you@there.example>").code == 551


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (says(b"354 Go on\r\n552 5.3.4 Too big\r\n"), 552),
        (says(b"354 Go on\r\n250 2.0.0 Ok: queued\r\n"), 451),
        (closes(b"354 Go on\r\n"), 451),
    ],
    ids=["refusal", "success", "end"],
)
def test_an_agreement_that_ends_in_the_same_breath_is_none_where_mails_are_tried_again(
    behaves, relay_before, act, code
):
    with relay_before(behaves, retry={"mode": "inline", "inline": {"budget": 2}}) as relay:
        behaves.acts["DATA"] = act
        with Attacker(relay.addresses[0]) as client:
            client.greet()
            client.begin_mail()
            answer = client.ask("DATA")
            if answer.code == 354:  # the end came a moment later
                answer = client.ask(_MESSAGE.decode().removesuffix("\r\n"))
            assert answer.code == code
        assert b'"relay_message"' not in relay.log.read_bytes()
    assert behaves.messages == []


def test_a_recipient_is_not_taken_by_the_answer_to_mail(behaves, relay_before):
    with relay_before(behaves, retry={"mode": "inline", "inline": {"budget": 2}}) as relay:
        behaves.acts["MAIL"] = says(b"250 2.1.0 Ok\r\n421 4.3.2 Going down\r\n")
        with Attacker(relay.addresses[0]) as client:
            client.greet()
            assert client.ask("MAIL FROM:<me@here.example>").code == 451
            assert client.ask("RCPT TO:<you@there.example>").code != 250


def test_a_server_that_asks_for_no_time_at_all_is_not_asked_without_end(behaves, relay_before):
    tries = []

    async def at_once(speaker: Speaker) -> None:
        tries.append(time.monotonic())
        await speaker.say(b"450 4.7.1 Try again in 0 seconds\r\n")

    behaves.acts["RCPT"] = at_once
    inline = {"mode": "inline", "inline": {"budget": 4}}
    with relay_before(behaves, retry=inline) as relay, Attacker(relay.addresses[0], 15) as client:
        client.greet()
        assert client.ask("MAIL FROM:<me@here.example>").code == 250
        assert client.ask("RCPT TO:<you@there.example>").code == 450
    assert 1 < len(tries) < 6


@pytest.mark.parametrize("point", ["DATA"])
def test_a_further_try_that_hangs_before_the_dot_ends_with_the_budget(behaves, relay_before, point):
    async def busy(speaker: Speaker) -> None:
        behaves.acts[point] = falls_silent
        await speaker.say(b"451 4.3.2 Busy\r\n")

    behaves.acts["dot"] = busy
    inline = {"mode": "inline", "inline": {"budget": 3}}
    with (
        relay_before(behaves, retry=inline, timeouts={"upstream_reply": 20}) as relay,
        Attacker(relay.addresses[0], 15) as client,
    ):
        client.greet()
        client.begin_message()
        started = time.monotonic()
        assert client.ask(_MESSAGE.decode().removesuffix("\r\n")).code == 451
        assert time.monotonic() - started < 8
    assert len(behaves.messages) == 1  # the one that it was too busy for


def test_nobody_hears_what_is_said_of_another_recipient(behaves, relay_before):
    answers = iter([b"250 2.1.5 Ok\r\n", None, b"550 5.1.1 No such user: first\r\n"])

    async def forgets(speaker: Speaker) -> None:
        reply = next(answers, b"550 5.1.1 No such user: first\r\n")
        if reply is None:
            speaker.reset()
        else:
            await speaker.say(reply)

    behaves.acts["RCPT"] = forgets
    inline = {"mode": "inline", "inline": {"budget": 2}}
    with relay_before(behaves, retry=inline) as relay, Attacker(relay.addresses[0], 15) as client:
        client.greet()
        assert client.ask("MAIL FROM:<me@here.example>").code == 250
        assert client.ask("RCPT TO:<first@there.example>").code == 250
        answer = client.ask("RCPT TO:<second@there.example>")
        assert answer.code == 451
        assert "second@there.example does not exist" not in answer.text
        assert "No such user" not in answer.text


def test_clients_that_wait_for_the_upstream_survive_a_reload(behaves, relay_before):
    async def slow(speaker: Speaker) -> None:
        await asyncio.sleep(6.5)
        await speaker.say(b"220 upstream.example ESMTP\r\n")

    behaves.acts["greeting"] = slow
    with relay_before(behaves) as relay, Attacker(relay.addresses[0], 15) as client:
        client.greet()
        client.say(b"MAIL FROM:<me@here.example>\r\n")
        relay.process.send_signal(signal.SIGHUP)
        relay.events("reloaded")
        assert client.hear().code == 250


def test_octets_of_a_chunk_are_counted_once(client, upstream):
    chunk = b"x" * 598 + b"\r\n"
    assert client.ask("MAIL FROM:<me@here.example> SIZE=600").code == 250
    assert client.ask("RCPT TO:<you@there.example>").code == 250
    client.say(b"BDAT 600 LAST\r\n" + chunk)
    assert client.hear().code == 250
    client.begin_mail()
    client.say(b"BDAT 600\r\n" + chunk + b"BDAT 600 LAST\r\n" + chunk)
    assert [client.hear().code for _ in range(2)] == [250, 552]


@pytest.mark.parametrize("last", [b"", b" LAST"])
def test_the_time_for_an_answer_to_a_chunk_begins_with_its_end(client, upstream, last):
    """The upstream has two seconds; the client takes three."""
    client.begin_mail()
    client.say(b"BDAT 8" + last + b"\r\n")
    for octets in (b"ab", b"cd", b"ef", b"\r\n"):
        client.sock.settimeout(0.75)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        client.sock.settimeout(8)
        client.say(octets)
    assert client.hear().code == 250


def test_faulty_logins_are_counted_as_faults(client):
    codes = [client.ask("AUTH PLAIN !!!").code for _ in range(20)]
    assert codes[:19] == [501] * 19
    assert codes[19] == 421


def test_a_reset_that_is_answered_late_takes_no_connection_from_the_next_mail(client, upstream):
    """After a login one connection serves all mails: the next one begins before RSET is answered."""

    async def late(speaker: Speaker) -> None:
        await asyncio.sleep(0.3)
        await speaker.say(b"250 2.0.0 Ok\r\n")

    upstream.acts["RSET"] = late
    upstream.acts["dot"] = closes()
    assert client.ask("AUTH PLAIN AHUAcA==").code == 235
    assert client.ask("MAIL FROM:<me@here.example>").code == 250
    assert client.ask("HELO here.example").code == 250
    answer = client.send_mail()
    assert answer.code == 451
    assert "not known whether" in answer.text


def _farewell(number: int) -> Act:
    """Close this connection, which has waited too long, in the moment in which its next mail begins."""

    async def act(speaker: Speaker) -> None:
        if speaker.number != number:
            await speaker.say(b"250 2.1.0 Ok\r\n")
            return
        await speaker.say(b"421 4.4.2 upstream.example Error: timeout exceeded\r\n")
        speaker.close()

    return act


@pytest.mark.parametrize("mode", ["off", "inline", "spool"])
def test_a_kept_connection_that_says_farewell_as_it_is_taken_is_replaced(behaves, relay_before, tmp_path, mode):
    store = {"url": f"sqlite:///{tmp_path}/relay.db"}
    with relay_before(behaves, retry={"mode": mode}, database=store) as relay, Attacker(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail().code == 250
        first = behaves.messages[0].connection
        behaves.acts["MAIL"] = _farewell(first)
        client.say(_ENVELOPE)
        assert [client.hear().code for _ in range(3)] == [250, 250, 354]
        client.say(_MESSAGE)
        assert client.hear().code == 250
        assert [message.connection for message in behaves.messages] == [first, first + 1]
        assert relay.log.read_text().count("relay_failure") == 0


@pytest.mark.parametrize("act", [closes(), closes(b"421 4.3.2 Going down\r\n")], ids=["breaks", "421"])
def test_a_mail_at_which_every_connection_ends_takes_two_of_them(behaves, relay_before, act):
    """The kept one is replaced, by a new one and once, however many are kept and opened ahead meanwhile."""
    with relay_before(behaves, upstream={"pool": {"warm": 3}}) as relay, Attacker(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail().code == 250
        behaves.acts["MAIL"] = act
        behaves.forget()
        answer = client.ask("MAIL FROM:<me@here.example>")
        assert answer.code in (421, 451)
        assert sum(line.startswith(b"MAIL") for line in behaves.commands) == 2


def test_a_new_connection_that_says_farewell_is_quoted(behaves, relay_before):
    with relay_before(behaves, upstream={"pool": {"idle": 0}}) as relay, Attacker(relay.addresses[0]) as client:
        client.greet()
        behaves.acts["MAIL"] = closes(b"421 4.7.0 Try again later\r\n")
        answer = client.ask("MAIL FROM:<me@here.example>")
        assert answer.code == 421
        assert "Try again later" in answer.text


@pytest.mark.parametrize("last", [b"", b" LAST"])
@pytest.mark.parametrize("pause", [0.0, 0.5], ids=["after the octets", "before the octets"])
def test_an_early_refusal_of_a_chunk_that_is_then_read_no_more(behaves, relay_before, last, pause):
    """All of the chunk is taken from the client, or it would never read the refusal."""

    async def refuses(speaker: Speaker) -> None:
        await speaker.until(b"\r\n")
        if not pause:
            await asyncio.sleep(0.5)  # what lies ready has filled every buffer
        await speaker.say(b"552 5.3.4 Too big\r\n")
        await stops_reading(speaker)

    async def data_follows(speaker: Speaker) -> None:
        await speaker.say(b"250 2.1.5 Ok\r\n")
        await refuses(speaker)

    size = 24 << 20
    with relay_before(behaves, timeouts={"upstream_reply": 2}) as relay, Attacker(relay.addresses[0], 15) as client:
        client.greet()
        behaves.acts["RCPT"] = data_follows
        client.begin_mail()
        client.say(b"BDAT %d%s\r\n" % (size, last))
        time.sleep(pause)
        client.say((b"x" * 70 + b"\r\n") * (size // 72) + b"y" * (size % 72))
        assert client.hear().code == 552
        assert client.ask("NOOP").code == 250


@pytest.mark.parametrize(
    "halves", [(b"552-5.3.4 Too ", b"big\r\n552 5.3.4 for us\r\n"), (b"5", b"52 5.3.4 Too big\r\n")]
)
@pytest.mark.parametrize("chunk", [False, True], ids=["DATA", "BDAT"])
def test_an_early_refusal_that_comes_in_two_pieces_around_the_end_is_the_verdict(client, upstream, halves, chunk):
    async def refuses(speaker: Speaker) -> None:
        await speaker.say(halves[0])
        await asyncio.sleep(0.5)  # meanwhile the client comes to its end
        await speaker.say(halves[1])

    async def agrees(speaker: Speaker) -> None:
        await speaker.say(b"354 Go on\r\n")
        await refuses(speaker)

    async def data_follows(speaker: Speaker) -> None:
        await speaker.say(b"250 2.1.5 Ok\r\n")
        await speaker.until(b"\r\n")
        await refuses(speaker)

    upstream.acts["RCPT" if chunk else "DATA"] = data_follows if chunk else agrees
    client.begin_mail()
    if chunk:
        client.say(b"BDAT 14 LAST\r\nHel")
    else:
        assert client.ask("DATA").code == 354
    time.sleep(0.2)
    client.say(b"lo world.\r\n" if chunk else _MESSAGE)
    answer = client.hear()
    assert answer.code == 552
    assert "Too big" in answer.text.replace("\n", " ")
    assert client.ask("NOOP").code == 250


def test_a_refusal_that_is_begun_and_never_ended_is_none(client, upstream):
    upstream.acts["DATA"] = says(b"354 Go on\r\n552-5.3.4 Too big\r\n")
    client.begin_mail()
    assert client.ask("DATA").code == 354
    begun = time.monotonic()
    client.say(_MESSAGE)
    assert client.hear().code == 451
    assert time.monotonic() - begun < 6  # timeouts.upstream_reply is 2
    assert client.ask("NOOP").code == 250


@pytest.mark.parametrize(("point", "code"), [("MAIL", 451), ("dot", 451)])
def test_lines_that_end_in_lf_alone_are_not_told_as_silence(client, upstream, point, code):
    upstream.acts[point] = says(b"250 2.0.0 Ok\n")
    begun = time.monotonic()
    client.say(_ENVELOPE)
    answer = client.hear()
    if point == "dot":
        assert [answer.code, client.hear().code, client.hear().code] == [250, 250, 354]
        client.say(_MESSAGE)
        answer = client.hear()
    assert answer.code == code
    assert "in time" not in answer.text
    assert time.monotonic() - begun < 1.5
