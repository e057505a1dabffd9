"""Clients that break the rules: each reply they get is right, nothing of theirs reaches the upstream that must not."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hostile_client import Attacker
from hostile_upstream import Message
from running_relay import wait_for

MAIL = b"MAIL FROM:<me@here.example>\r\n"
RCPT = b"RCPT TO:<you@there.example>\r\n"
EHLO = b"EHLO client.example\r\n"
WHOLE = EHLO + MAIL + RCPT + b"DATA\r\nSubject: x\r\n\r\nHello.\r\n.\r\n"
HELLO = b"Subject: x\r\n\r\nHello."


@pytest.fixture(scope="module")
def relay(upstream, relay_before):
    with relay_before(upstream, limits={"connections": 2000}) as relay:
        yield relay


@pytest.fixture
def client(behaves, relay):
    with Attacker(relay.addresses[0]) as client:
        assert client.hear().code == 220
        yield client


@pytest.fixture(autouse=True)
def well_again(behaves, relay):
    """Whatever the client did, the next one's mail passes."""
    yield
    with Attacker(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail().code == 250


def codes(client: Attacker, octets: bytes) -> list[int]:
    return [answer.code for answer in client.ask_all(octets)]


# -- other protocols

NOT_SMTP = {
    "GET": b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n",
    "HTTP in lower case": b"get / http/1.0\r\n\r\n",
    "POST with a mail in it": b"POST / HTTP/1.1\r\nContent-Length: 200\r\n\r\n" + WHOLE,
    "a method of WebDAV with a mail in it": b"PROPFIND / HTTP/1.1\r\n\r\n" + WHOLE,
    "a method that is a command": b"EHLO / HTTP/1.1\r\nHost: relay\r\n\r\n" + WHOLE,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + WHOLE,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n" + WHOLE,
    "TLS without a line end": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200,
}


@pytest.mark.parametrize("octets", NOT_SMTP.values(), ids=NOT_SMTP)
def test_another_protocol_is_turned_away_at_once(client, upstream, octets):
    client.say(octets)
    assert [answer.code for answer in client.rest()] == [421]
    assert upstream.messages == []


def test_a_proxy_header_that_nobody_demanded(client, upstream):
    assert codes(client, b"PROXY TCP4 192.0.2.7 127.0.0.1 4000 25\r\n" + MAIL) == [500, 503]


# -- octets that do not belong in a command

CONTROLS = [bytes([octet]) for octet in (*range(32), 127) if octet not in b"\n"]


@pytest.mark.parametrize("octet", CONTROLS, ids=lambda octet: octet.hex())
def test_a_control_octet_goes_nowhere(client, upstream, octet):
    """Refused wherever it is (a tab may be a blank), never echoed (`hear` looks), never passed on."""
    said = (b"NO%cOP\r\n", b"MAIL FROM:<me%c@here.example>\r\n", b'MAIL FROM:<"a\\%c"@here.example>\r\n')
    answers = client.ask_all(EHLO + b"".join(line % octet for line in said) + MAIL + b"RCPT TO:<y%cou@b.c>\r\n" % octet)
    assert [answer.code for answer in answers][:2] == [250, 500]
    assert all(answer.code >= 500 for answer in answers[2:4])
    assert answers[-2].code == 250
    assert answers[-1].code >= 500
    assert not any(octet in line for line in upstream.commands)


def test_eight_bit_addresses_need_smtputf8(client, upstream):
    said = "MAIL FROM:<ü@here.example>\r\nMAIL FROM:<me@here.example>\r\nRCPT TO:<ü@there.example>\r\n".encode()
    assert codes(client, EHLO + said)[1:] == [553, 250, 553]
    assert not any(b"\xc3" in line for line in upstream.commands)


PATHS = {
    "an encoded word": b"<=?utf-8?q?evil=40attacker.example=3e?=@there.example>",
    "an encoded line end": b"<=?utf-8?q?a=0d=0aRSET?=@there.example>",
    "a percent": b"<a%b.example@there.example>",
    "a bang": b"<a!b@there.example>",
    "a quoted local part": b'<"a b<c>@d,;:\\"\\\\"@there.example>',
    "a source route": b"<@one.example,@two.example:you@there.example>",
    "an address literal": b"<you@[IPv6:2001:db8::1]>",
    "2,000 octets": b"<" + b"l" * 1900 + b"@there.example>",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_strange_path_arrives_octet_for_octet_or_not_at_all(client, upstream, path):
    answers = client.ask_all(EHLO + MAIL + b"RCPT TO:" + path + b"\r\n")
    assert answers[-1].code == 250
    assert b"RCPT TO:" + path in upstream.commands


# -- line ends and lengths


def test_a_bare_cr_ends_no_command(client, upstream):
    assert codes(client, EHLO + b"NOOP\rMAIL FROM:<evil@here.example>\r\n")[1:] in ([250], [500], [501])
    assert not any(b"MAIL" in line for line in upstream.commands)


@pytest.mark.parametrize("length", [2_049, 12_289, 70_000, 1_000_000])
def test_an_overlong_line_is_one_error(client, upstream, length):
    client.say(EHLO + b"x" * length + MAIL + b"NOOP\r\n")
    assert [client.hear().code for _ in range(3)] == [250, 500, 250]
    assert upstream.messages == []


def test_a_line_without_an_end_is_cut_off(client):
    with contextlib.suppress(OSError):
        for _ in range(64):
            client.say(b"x" * 65_536)
    with contextlib.suppress(OSError):
        assert {answer.code for answer in client.rest()} <= {500, 421}


def test_empty_lines_are_errors_and_an_end(client):
    with contextlib.suppress(OSError):
        client.say(b"\r\n" * (4 << 20))
    heard = []
    with contextlib.suppress(OSError):  # what is still unread when the relay closes is answered by an RST
        heard += client.rest()
    assert len(heard) <= 20


AUTH_LINES = {
    "no mechanism": (b"AUTH", 501),
    "blanks": (b"AUTH   ", 501),
    "a mechanism of 400 letters": (b"AUTH " + b"A" * 400, 501),
    "not base64": (b"AUTH PLAIN !!!!", 501),
    "two responses": (b"AUTH PLAIN AGEAYg== AGEAYg==", 501),
    "too long": (b"AUTH PLAIN " + b"A" * 13_000, 500),
    "far too long": (b"AUTH PLAIN " + b"A" * 500_000, 500),
    "NUL": (b"AUTH PLAIN AGEA\x00Yg==", 501),
    "a bare CR": (b"AUTH PLAIN AGEAYg==\rMAIL FROM:<evil@here.example>", 501),
    "tied to the channel": (b"AUTH SCRAM-SHA-256-PLUS biws", 504),
    "EXTERNAL": (b"AUTH EXTERNAL =", 504),
}


@pytest.mark.parametrize(("line", "code"), AUTH_LINES.values(), ids=AUTH_LINES)
def test_a_login_that_cannot_be_one_goes_no_further(client, upstream, line, code):
    answers = client.ask_all(EHLO + line + b"\r\nNOOP\r\n")
    assert [answer.code for answer in answers] == [250, code, 250]
    assert not any(line.upper().startswith(b"AUTH") for line in upstream.commands)


def test_a_login_inside_a_mail_is_refused(client, upstream):
    assert codes(client, EHLO + MAIL + b"AUTH PLAIN AGEAYg==\r\n")[-1] == 503
    assert not any(line.startswith(b"AUTH") for line in upstream.commands)


# -- too early, too often, too many


def test_everything_before_the_greeting(behaves, relay):
    with Attacker(relay.addresses[0]) as client:
        answers = client.ask_all(WHOLE)
    assert [answer.code for answer in answers] == [220, 250, 250, 250, 354, 250]
    assert [message.octets for message in behaves.messages] == [HELLO]


@pytest.mark.parametrize(
    ("line", "count"), [(EHLO, 2_000), (b"RSET\r\n", 5_000), (b"NOOP\r\n", 20_000), (b"VRFY x\r\n", 5_000)]
)
def test_a_loop_of_harmless_commands_reaches_nobody(client, upstream, line, count):
    before = upstream.connections
    heard = codes(client, EHLO + line * count)
    assert len(heard) == count + 1
    assert set(heard) <= {250, 252}
    assert upstream.connections - before <= 1


def test_mail_and_rset_in_a_loop_are_one_connection(client, upstream):
    before = upstream.connections
    heard = codes(client, EHLO + (MAIL + b"RSET\r\n") * 1_000)
    assert heard == [250] * 2_001
    assert upstream.connections - before <= 20  # a connection carries 100 mails by default


def test_ten_thousand_recipients(client, upstream):
    said = b"".join(b"RCPT TO:<r%d@there.example>\r\n" % number for number in range(10_000))
    client.sock.settimeout(30)
    client.say(EHLO + MAIL)
    assert [client.hear().code for _ in range(2)] == [250, 250]
    answers = client.ask_all(said + b"DATA\r\n" + HELLO + b"\r\n.\r\n")
    assert [answer.code for answer in answers] == [250] * 1_000 + [452] * 9_000 + [354, 250]
    (message,) = upstream.messages
    assert len(message.commands) == 1_001


def test_data_is_not_begun_where_nobody_would_get_it(client, upstream):
    """What was meant as the message is heard as commands; none of it is a mail."""
    heard = codes(client, EHLO + MAIL + b"DATA\r\nSubject: x\r\n\r\nHello.\r\n.\r\n")
    assert heard[:3] == [250, 250, 554]
    assert set(heard[3:]) == {500}
    assert upstream.messages == []


# -- BDAT

GOOD_CHUNK = b"BDAT 7 LAST\r\nHello\r\n"
CHUNKS = {
    "no size": (b"BDAT\r\n", [501]),
    "negative": (b"BDAT -1\r\n", [501]),
    "with a sign": (b"BDAT +5\r\n", [501]),
    "hexadecimal": (b"BDAT 0x10\r\n", [501]),
    "with an exponent": (b"BDAT 1e3\r\n", [501]),
    "digits of other scripts": ("BDAT ٣\r\n".encode(), [501]),
    "past 64 bits": (b"BDAT 18446744073709551617 LAST\r\n", [501]),
    "LAST twice": (b"BDAT 0 LAST LAST\r\n", [501]),
    "another word": (b"BDAT 0 FIRST\r\n", [501]),
    "nothing at all": (b"BDAT 0 LAST\r\n", [250]),
    "nothing many times": (b"BDAT 0\r\n" * 500, [250] * 500),
    "one octet at a time": (b"BDAT 1\r\nx" * 500, [250] * 500),
    "a bare LF": (b"BDAT 6 LAST\r\nHello\n", [550]),
    "a bare CR at its end": (b"BDAT 6 LAST\r\nHello\r", [550]),
    "a NUL": (b"BDAT 3 LAST\r\na\x00b", [550]),
    "a lone dot is no end": (b"BDAT 11 LAST\r\na\r\n.\r\nb\r\n\r\n", [250]),
    "a CRLF cut in two is whole": (b"BDAT 6\r\nHello\rBDAT 1 LAST\r\n\n", [250, 250]),
    "a CR and LF that only seem to be": (b"BDAT 6\r\nHello\rBDAT 1 LAST\r\nx", [250, 550]),
}  # fmt: skip


@pytest.mark.parametrize(("octets", "expected"), CHUNKS.values(), ids=CHUNKS)
def test_a_chunk(client, upstream, octets, expected):
    assert codes(client, EHLO + MAIL + RCPT + octets)[3:] == expected


def test_the_octets_of_a_chunk_that_is_refused_are_no_commands(client, upstream):
    """RFC 3030 section 2: they are there whatever the answer is, and they are passed over."""
    evil = b"MAIL FROM:<evil@here.example>\r\nRCPT TO:<x@y.example>\r\nBDAT 0 LAST\r\n"
    assert codes(client, EHLO + b"BDAT %d LAST\r\n" % len(evil) + evil + b"NOOP\r\n") == [250, 503, 250]
    assert not any(b"evil" in line for line in upstream.commands)


def test_chunks_out_of_order_are_mistakes_that_count(client):
    answers = codes(client, EHLO + b"BDAT 1 LAST\r\nx" * 30)[1:]
    assert (set(answers[:-1]), answers[-1]) == ({503}, 421)


@pytest.mark.parametrize("leaving", ["half_close", "close", "reset"])
def test_a_client_that_leaves_in_a_chunk(behaves, relay, leaving):
    client = Attacker(relay.addresses[0])
    client.say(EHLO + MAIL + RCPT + b"BDAT 100 LAST\r\nHello")
    for _ in range(4):
        client.hear()
    leave(client, leaving)
    assert behaves.messages == []


# -- vanishing


def leave(client: Attacker, how: str) -> None:
    if how == "half_close":
        client.half_close()
        client.rest()
    if how == "reset":
        client.reset()
    else:
        client.__exit__()


@pytest.mark.parametrize("leaving", ["half_close", "close", "reset"])
def test_a_client_that_leaves_after_any_octet(behaves, relay, leaving):
    """Without its dot no message arrives, and nobody is kept waiting for the rest of it."""
    for length in range(0, len(WHOLE) - 1, 1 if leaving == "half_close" else 3):
        client = Attacker(relay.addresses[0])
        client.say(WHOLE[:length])
        leave(client, leaving)
    with Attacker(relay.addresses[0]) as good:
        good.greet()
        assert good.send_mail().code == 250
    assert [message.octets for message in behaves.messages] == [HELLO]  # this one alone


@pytest.mark.parametrize("leaving", ["half_close", "close", "reset"])
def test_a_client_that_leaves_after_the_dot(behaves, relay, leaving):
    """It may not wait for the verdict, but it has said all that a mail needs: the upstream decides, once."""
    client = Attacker(relay.addresses[0])
    client.say(WHOLE[: WHOLE.index(b"Subject")])
    for _ in range(5):
        client.hear()
    client.say(HELLO + b"\r\n.\r\n")
    leave(client, leaving)
    wait_for(lambda: behaves.messages, "the message at the upstream")
    assert [message.octets for message in behaves.messages] == [HELLO]


def test_a_conversation_octet_by_octet(client, upstream):
    for octet in WHOLE:
        client.say(bytes([octet]))
    client.half_close()
    assert [answer.code for answer in client.rest()] == [250, 250, 250, 354, 250]
    assert upstream.messages == [Message((MAIL[:-2], RCPT[:-2]), HELLO, upstream.messages[0].connection)]


@pytest.mark.parametrize("cut", range(1, 5))
def test_the_end_of_a_message_in_two_segments(client, upstream, cut):
    end, after = b"\r\n.\r\n", MAIL
    client.say(EHLO + MAIL + RCPT + b"DATA\r\n")
    assert [client.hear().code for _ in range(4)] == [250, 250, 250, 354]
    client.say(HELLO + end[:cut])
    assert codes(client, end[cut:] + after) == [250, 250]
    assert [message.octets for message in upstream.messages] == [HELLO]


def test_two_clients_take_turns_octet_by_octet(behaves, relay):
    """Nothing of one is ever in the other's mail."""
    mails = [WHOLE.replace(b"Hello", name).replace(b"<me", b"<" + name) for name in (b"Anna.", b"Berta")]
    with Attacker(relay.addresses[0]) as one, Attacker(relay.addresses[0]) as two:
        for first, second in itertools.zip_longest(*mails):
            one.say(bytes([first]))
            two.say(bytes([second]))
        for client in (one, two):
            client.half_close()
            assert client.rest()[-1].code == 250
    for message in behaves.messages:
        name = b"Anna." if b"Anna." in message.octets else b"Berta"
        assert message.octets == HELLO.replace(b"Hello", name)
        assert message.commands[0] == MAIL[:-2].replace(b"<me", b"<" + name)
    assert len(behaves.messages) == 2
