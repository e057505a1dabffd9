"""Whatever an upstream says, the reply that the client reads is well formed and keeps its codes."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.explain import Book, Failure, Style, render, shipped_chapters
from relay.smtp import Fault, Phase, Reply, reply_for

BOOK = Book.read(shipped_chapters())
EXAMPLES = int(os.environ.get("RENDER_EXAMPLES", "600"))  # a full run takes 10,000

WORDS = st.sampled_from(
    [
        b"550",
        b"250 ok",
        b"5.1.1",
        b"2.0.0",
        b"User unknown",
        b"<bob@b.test>:",
        b"\x1b[31m",
        b"\x00",
        b"\x07\x08\x7f",
        b"\r\n250 2.0.0 Ok\r\n",
        b"\n",
        b"\x85\xa0\xff",
        "Empfänger „Müller“".encode(),
        "\u202e\u200b\u2066\ufeff\u2028".encode(),
        "日本語".encode(),
        b"{recipient} {0} %s",
        b"[ref 000000]",
        b'"quoted"',
        b"mailbox full, over quota",
        b"x" * 600,
    ]
)
LINE_OF_REPLY = st.one_of(st.binary(max_size=200), st.lists(WORDS, max_size=8).map(b" ".join), st.just(b"y" * 10_000))
REPLIES = st.builds(
    Reply,
    st.sampled_from([None, *Phase]),
    st.integers(400, 599),
    st.one_of(st.lists(LINE_OF_REPLY, min_size=1, max_size=6), st.just([b"again"] * 100)).map(tuple),
    st.none(),
)
ADDRESSES = st.one_of(st.none(), st.text(max_size=80), st.just("bob@b.test"), st.just("a" * 300 + "@b.test"))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(reply=REPLIES, recipient=ADDRESSES, style=st.sampled_from(Style), utf8=st.booleans())
def test_hostile_replies_stay_well_formed(reply, recipient, style, utf8):
    explanation = BOOK.explain(Failure(reply, "mx.b.test", recipient=recipient))
    assert_well_formed(render(explanation, style=style, ref="7K3QF2", utf8=utf8), reply, utf8=utf8)


def assert_well_formed(wire, reply, *, utf8):
    assert wire.endswith(b"\r\n")
    lines = wire[:-2].split(b"\r\n")
    start = f"{reply.code}".encode()
    for number, line in enumerate(lines, 1):
        assert len(line) <= 510
        assert line[:4] == start + (b" " if number == len(lines) else b"-")
        text = line[4:].decode("utf-8" if utf8 else "ascii")
        assert text.isprintable()
        if reply.status:
            assert text.startswith(reply.status + " ")
    assert b"7K3QF2" in lines[-1]
    assert len(lines) <= 14


def told(reply, **known):
    style = known.pop("style", Style.FULL)
    utf8 = known.pop("utf8", False)
    return render(BOOK.explain(Failure(reply, **known)), style=style, ref="7K3QF2", utf8=utf8).decode()


def test_the_whole_reply_as_a_client_reads_it():
    reply = Reply(Phase.RCPT, 550, (b"5.1.1 User unknown",))
    assert told(reply, upstream="mx.b.test", recipient="bob@b.test") == (
        "550-5.1.1 The recipient address bob@b.test does not exist.\r\n"
        "550-5.1.1 The server knows the domain, but nobody of that name.\r\n"
        "550-5.1.1 Whose move: yours. Check the spelling, or ask the recipient for the right\r\n"
        "550-5.1.1 address. Sending again unchanged will not help.\r\n"
        '550 5.1.1 mx.b.test said: "User unknown" [ref 7K3QF2]\r\n'
    )


def test_short_is_one_line():
    reply = Reply(Phase.RCPT, 550, (b"5.1.1 User unknown",))
    assert told(reply, style=Style.SHORT, upstream="mx.b.test") == (
        '550 5.1.1 The recipient address does not exist. mx.b.test said: "User unknown" [ref 7K3QF2]\r\n'
    )


@pytest.mark.parametrize("code", [550, 571, 599, 420])
def test_without_an_enhanced_code_none_is_invented(code):
    assert not re.search(r"^\d{3}[ -]\d\.\d", told(Reply(Phase.RCPT, code, (b"No",))), re.MULTILINE)


def test_where_nobody_spoke_the_last_line_says_what_was_seen():
    wire = told(reply_for(Fault.REFUSED, Phase.MAIL, "127.0.0.1:2600"))
    assert wire.endswith("451 4.4.1 No reply came: 127.0.0.1:2600 refused the connection [ref 7K3QF2]\r\n")


def test_the_relay_owns_up_to_its_own_refusals():
    assert "This relay refused it: the message is larger" in told(reply_for(Fault.MESSAGE_TOO_BIG, Phase.MAIL))


def test_umlauts_are_folded_unless_the_client_takes_utf8():
    reply = Reply(Phase.RCPT, 550, ("Empfänger „Müller“ unbekannt".encode(),))
    assert "Empfaenger 'Mueller' unbekannt" in told(reply)
    assert "Empfänger „Müller“ unbekannt" in told(reply, utf8=True)
