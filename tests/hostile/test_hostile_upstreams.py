"""An upstream that lies: no lie becomes a success, and nothing it says reaches the client as it is."""

from __future__ import annotations

import pytest
from hostile_client import Attacker
from hostile_upstream import Upstream, closes, falls_silent, resets, says, sips, stops_reading

MIB = 1 << 20


@pytest.fixture(scope="module")
def relay(upstream, relay_before):
    """One relay for all lies; it keeps its connections, and waits for no reply longer than two seconds."""
    with relay_before(upstream, timeouts={"upstream_reply": 2}) as relay:
        yield relay


@pytest.fixture
def client(behaves, relay):
    with Attacker(relay.addresses[0]) as client:
        yield client


@pytest.fixture(autouse=True)
def well_again(behaves, relay):
    """Whatever was said: when the upstream is good again, mail passes, and it passes once."""
    yield
    behaves.behave()
    with Attacker(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail().code == 250
    assert len(behaves.messages) == 1


# Not one of these is exactly one reply (RFC 5321 section 4.2).
NO_REPLIES = {
    "two codes": b"550-5.1.1 No such user\r\n250 2.1.5 Ok\r\n",
    "two codes, good first": b"250-2.1.5 Ok\r\n550 5.1.1 No such user\r\n",
    "LF alone": b"250 2.1.5 Ok\n250 2.1.5 Ok\r\n",
    "LF within": b"550-5.1.1 No\n250 2.1.5 Ok\r\n",
    "CR within": b"550 5.1.1 No\r250 2.1.5 Ok\r\n",
    "no separator": b"250xOk\r\n",
    "underscore": b"2_5 Ok\r\n",
    "plus": b"+25 Ok\r\n",
    "blank before": b" 250 Ok\r\n",
    "four digits": b"2500 Ok\r\n",
    "two digits": b"25 Ok\r\n",
    "first digit 1": b"150 Ok\r\n",
    "first digit 6": b"650 Ok\r\n",
    "other digits": "٢٥٠ Ok\r\n".encode(),
    "empty line": b"\r\n",
    "empty line first": b"\r\n250 2.1.5 Ok\r\n",
    "no text at all": b"Ok\r\n",
    "NUL before": b"\x00250 2.1.5 Ok\r\n",
    "201 lines": b"250-2.1.5 Ok\r\n" * 200 + b"250 2.1.5 Ok\r\n",
    "more than 64 KiB": b"250-" + b"x" * 70_000 + b"\r\n250 Ok\r\n",
    "a TLS record": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("reply", NO_REPLIES.values(), ids=NO_REPLIES)
@pytest.mark.parametrize("point", ["RCPT", "dot"])
def test_what_is_no_reply_is_not_believed(client, upstream, relay, point, reply):
    upstream.acts[point] = says(reply)
    client.greet()
    assert client.ask("MAIL FROM:<me@here.example>").code == 250
    if point == "RCPT":
        answer = client.ask("RCPT TO:<you@there.example>")
    else:
        assert client.ask("RCPT TO:<you@there.example>").code == 250
        assert client.ask("DATA").code == 354
        answer = client.ask("Subject: x\r\n\r\nHello.\r\n.")
    assert answer.code == 451
    assert answer.text.startswith("451-4.5.0 ")
    assert ("may have been delivered" in answer.text) == (point == "dot")


# What is a reply, but hostile to whoever shows it, or pretends to be another one.
REPLIES = {
    "escape sequences": b"550 5.7.1 \x1b[2J\x1b]0;owned\x07red\x08\x7f\r\n",
    "NUL and tab": b"550 5.7.1 a\x00b\tc\x0b\x0c\r\n",
    "8-bit": b"550 5.7.1 caf\xe9 \xff\xfe\x9b31m\r\n",
    "UTF-8 controls": "550 5.7.1 \u202etxt.exe\u2028250 2.0.0 Ok\u0085250 Ok\r\n".encode(),
    "a success in words": b"550 5.7.1 250 2.0.0 Ok: queued as 4711\r\n",
    "a reply in words": b"550 5.7.1 \\r\\n250 2.0.0 Ok\\r\\n\r\n",
    "a line of 60,000 octets": b"550 5.7.1 " + b"x" * 60_000 + b"\r\n",
    "one word of 5,000 octets a line": (b"550-5.7.1 " + b"y" * 5000 + b"\r\n") * 9 + b"550 5.7.1 end\r\n",
    "200 lines": b"550-5.7.1 More\r\n" * 199 + b"550 5.7.1 end\r\n",
    "placeholders": b"550 5.7.1 {upstream} %s {0} [ref AAAAAA] ${jndi:ldap://x} Whose move: yours\r\n",
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
@pytest.mark.parametrize("point", ["MAIL", "RCPT", "DATA", "dot"])
def test_a_hostile_text_is_explained_and_tamed(client, upstream, point, reply):
    """`hear` looks at every octet: nothing but printable ASCII, lines of 512 octets at most, one code, one status."""
    upstream.acts[point] = says(reply)
    client.greet()
    said = ("MAIL FROM:<me@here.example>", "RCPT TO:<you@there.example>", "DATA", "Subject: x\r\n\r\nHello.\r\n.")
    codes = [client.ask(line).code for line in said[: ("MAIL", "RCPT", "DATA", "dot").index(point) + 1]]
    assert codes[-1] == 550
    assert client.ask("NOOP").code == 250  # still in step


@pytest.mark.parametrize("code", [550, 450])
@pytest.mark.parametrize("status", ["2.0.0", "4.1.1", "5.1.1", "9.9.9", "5.1", "5.1.1.1", "5.1111.1", "x"])
def test_a_status_of_another_class_is_not_passed_on(client, upstream, code, status):
    upstream.acts["RCPT"] = says(f"{code} {status} No such user\r\n".encode())
    client.greet()
    assert client.ask("MAIL FROM:<me@here.example>").code == 250
    assert client.ask("RCPT TO:<you@there.example>").code == code


def test_an_early_refusal_is_the_verdict(client, upstream):
    upstream.acts["body"] = says(b"552 5.2.2 Mailbox full\r\n")
    client.greet()
    answer = client.send_mail()
    assert answer.code == 552
    assert client.ask("NOOP").code == 250


@pytest.mark.parametrize("early", [b"250 2.0.0 Ok: queued\r\n", b"354 Go on\r\n", b"220 Hello\r\n"])
def test_an_early_success_is_a_lie(client, upstream, early):
    upstream.acts["DATA"] = says(b"354 Go on\r\n" + early)
    client.greet()
    answer = client.send_mail()
    assert answer.code == 451
    assert "delivered" not in answer.text  # the dot was never sent
    assert upstream.messages == []


def test_an_early_success_is_a_lie_however_late_it_comes(client, upstream):
    client.greet()
    client.begin_message()
    client.say(b"Subject: x\r\n\r\n")
    upstream.say(b"250 2.0.0 Ok: queued\r\n")
    client.say(b"Hello.\r\n" * 1000 + b".\r\n")
    assert client.hear().code == 451


def test_more_replies_than_commands(client, upstream):
    upstream.acts["RCPT"] = says(b"550 5.1.1 No such user\r\n250 2.1.5 Ok\r\n")
    client.greet()
    client.say(b"MAIL FROM:<me@here.example>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
    codes = [client.hear().code for _ in range(4)]
    assert codes[:3] == [250, 550, 250]  # nobody can know the second one's for a lie: each is a reply, in its turn
    assert codes[3] in (451, 550)
    assert upstream.messages == []


def test_fewer_replies_than_commands(client, upstream, relay):
    upstream.acts["RCPT"] = says(b"")
    client.greet()
    client.say(b"MAIL FROM:<me@here.example>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
    assert client.hear().code == 250
    answers = [client.hear() for _ in range(3)]
    assert {answer.code for answer in answers} <= {451, 554}
    assert upstream.messages == []


def test_354_although_no_recipient_was_taken(client, upstream):
    upstream.acts["RCPT"] = says(b"550 5.1.1 No such user\r\n")
    client.greet()
    client.say(b"MAIL FROM:<me@here.example>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n")
    assert [client.hear().code for _ in range(3)] == [250, 550, 554]
    assert upstream.messages == []


@pytest.mark.parametrize("act", [closes(), resets(), closes(b"421 4.3.2 Going down\r\n")], ids=["fin", "rst", "421"])
def test_a_large_message_whose_upstream_leaves_in_the_middle(client, upstream, act):
    """All of the message is taken from the client, or it would never read the reply."""
    upstream.acts["body"] = act
    client.greet()
    answer = client.send_mail(b"x" * 70 + b"\r\n" * 200_000)
    assert answer.code in (451, 421)
    assert "delivered" not in answer.text


def test_an_upstream_that_stops_reading_the_message(client, upstream):
    """The client is held back meanwhile: so the relay must notice, take the rest, and answer."""
    upstream.acts["body"] = stops_reading
    client.sock.settimeout(20)
    client.greet()
    answer = client.send_mail((b"x" * 70 + b"\r\n") * (32 * MIB // 72))
    assert answer.code == 451
    assert answer.text.startswith("451-4.4.2 ")
    assert "took fewer than 200 octets" in answer.text
    assert "delivered" not in answer.text


@pytest.mark.parametrize(
    ("scheme", "size", "seconds"), [("smtp+plain", 16, 6), ("smtps", 16, 6), ("smtp+plain", 3, 30)]
)
def test_an_upstream_that_reads_slowly_is_waited_for(  # noqa: PLR0917 -- fixtures
    relay_before, good_tls, certificates, scheme, size, seconds
):
    """What lies in the system's queue takes far longer to be read than one reply may take."""
    with Upstream(good_tls, implicit=scheme == "smtps", window=16384) as upstream:
        upstream.acts["body"] = sips(seconds)
        way = {"tls": {"ca_file": str(certificates.authority)}} if scheme == "smtps" else {}
        with (
            relay_before(upstream, scheme, upstream=way, timeouts={"upstream_reply": 2}) as relay,
            Attacker(relay.addresses[0]) as client,
        ):
            client.sock.settimeout(30)
            client.greet()
            message = (b"x" * 70 + b"\r\n") * (size * MIB // 72)
            assert client.send_mail(message).code == 250
            assert upstream.messages[0].octets == message[:-2]


def test_two_mails_in_one_segment_and_an_upstream_that_dies_between_them(client, upstream):
    upstream.acts["dot"] = closes(b"250 2.0.0 Ok: queued\r\n")
    client.greet()
    mail = b"MAIL FROM:<me@here.example>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n"
    client.say(mail)
    assert [client.hear().code for _ in range(3)] == [250, 250, 354]
    client.say(b"one\r\n.\r\n" + mail)
    assert [client.hear().code for _ in range(4)] == [250, 250, 250, 354]
    client.say(b"two\r\n.\r\n")
    assert client.hear().code == 250
    assert [message.octets for message in upstream.messages] == [b"one", b"two"]


@pytest.mark.parametrize(
    "act", [falls_silent, resets(), closes(), says(b"550 No\r\n"), says(b"\xff\r\n")],
    ids=["silence", "rst", "fin", "refusal", "garbage"],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["RSET", "QUIT"])
def test_the_courtesies_of_one_client_are_no_concern_of_the_next(behaves, relay, verb, act):
    behaves.acts[verb] = act
    with Attacker(relay.addresses[0]) as client:
        client.greet()
        client.begin_mail()
        assert client.ask("QUIT").code == 221
    with Attacker(relay.addresses[0]) as client:
        client.greet()
        assert client.send_mail().code == 250
    assert len(behaves.messages) == 1


@pytest.mark.parametrize("said", [b"421 4.4.2 Idle\r\n", b"250 2.0.0 Ok\r\n", b"\x00\xff\r\n", b"2"])
def test_what_a_kept_connection_says_meanwhile_answers_nothing(client, upstream, said):
    client.greet()
    assert client.send_mail().code == 250
    upstream.say(said)
    upstream.forget()
    upstream.acts["RCPT"] = says(b"550 5.1.1 No such user\r\n")
    assert client.ask("MAIL FROM:<me@here.example>").code == 250
    assert client.ask("RCPT TO:<you@there.example>").code == 550


KEYWORDS = {
    "nothing": (),
    "SIZE of no number": (b"SIZE abc",),
    "SIZE of 400 digits": (b"SIZE " + b"9" * 400,),
    "SIZE negative": (b"SIZE -1",),
    "control octets": (b"AUTH PLAIN\x1b[2J\x00", b"X\x07Y"),
    "a code in a keyword": (b"250 AUTH PLAIN", b"250-SIZE 5"),
    "every keyword twice": (b"SIZE 1000000", b"SIZE 5", b"AUTH PLAIN", b"AUTH LOGIN"),
    "190 keywords": tuple(b"X%d" % number for number in range(190)),
    "long words": (b"AUTH " + b" ".join(b"MECH%d" % number for number in range(4000)),),
    "8-bit": ("ÄUTH PLÄIN".encode(), b"\xff\xfe"),
    "tied to the channel": (b"AUTH SCRAM-SHA-256-PLUS EXTERNAL GSSAPI", b"XCLIENT NAME ADDR", b"XFORWARD NAME"),
}


@pytest.mark.parametrize("keywords", KEYWORDS.values(), ids=KEYWORDS)
def test_a_strange_offer(behaves, relay, keywords):
    """`hear` finds control octets and lines too long; what is bound to one connection is not offered on."""
    good, behaves.keywords = behaves.keywords, (b"upstream.example", *keywords)
    try:
        behaves.behave()
        with Attacker(relay.addresses[0]) as client:
            offer = client.greet().text
            assert not any(word in offer for word in ("-PLUS", "EXTERNAL", "GSSAPI", "XCLIENT", "XFORWARD", "CHUNKING"))
            assert client.send_mail().code == 250
    finally:
        behaves.keywords = good


def test_an_offer_that_changes(behaves, relay):
    """The client has seen the old offer; what the new connection cannot do is refused for now, never done by half."""
    with Attacker(relay.addresses[0]) as client:
        assert "CHUNKING" in client.greet().text
        good, behaves.keywords = behaves.keywords, (b"upstream.example",)
        try:
            behaves.behave()
            assert client.ask("MAIL FROM:<me@here.example>").code == 250
            assert client.ask("RCPT TO:<you@there.example>").code == 250
            chunk = b"MAIL FROM:<x@y.example>\r\nQUIT\r\n"
            client.say(b"BDAT %d LAST\r\n" % len(chunk) + chunk)
            assert client.hear().code == 451
            assert client.ask("NOOP").code == 250
        finally:
            behaves.keywords = good
    assert not any(line.startswith((b"BDAT", b"MAIL FROM:<x@y")) for line in behaves.commands)
