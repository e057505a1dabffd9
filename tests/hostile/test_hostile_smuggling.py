"""Smuggling: whatever the server behind takes for the end of a message, out of one message never come two."""

from __future__ import annotations

import pytest
from hostile_client import Attacker
from smuggling import SEQUENCES, name, smuggled

ENDS = {"strict": (), "lenient": SEQUENCES, "careless": (b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b".\0")}


@pytest.fixture(scope="module", params=["reject", "normalize"])
def relay(request, upstream, relay_before):
    with relay_before(upstream, message={"bare_newline": request.param}) as relay:
        yield request.param, relay


@pytest.fixture
def mail(behaves, relay):
    """Sends what is smuggled, in one piece or octet by octet; gives the verdict."""
    policy, process = relay

    def send(octets: bytes, *, pieces: bool = False) -> int:
        with Attacker(process.addresses[0]) as client:
            client.greet()
            client.begin_message()
            for piece in [octets[at : at + 1] for at in range(len(octets))] if pieces else [octets]:
                client.say(piece)
            (verdict, bye) = client.hear(), client.hear()
            assert bye.code == 221
            return verdict.code

    yield policy, send
    behaves.other_ends = ()


def test_there_are_25_different_sequences():
    assert len(set(SEQUENCES)) == 25
    assert not any(b"\r\n.\r\n" in sequence for sequence in SEQUENCES)


@pytest.mark.parametrize("pieces", [False, True], ids=["one-piece", "octets"])
@pytest.mark.parametrize("hop", ENDS)
@pytest.mark.parametrize("sequence", SEQUENCES, ids=name)
def test_one_message_stays_one(mail, upstream, sequence, hop, pieces):
    """`lenient` ends a message at this very sequence, `careless` at every one of its kind."""
    policy, send = mail
    upstream.other_ends = (sequence,) if hop == "lenient" else ENDS[hop]
    verdict = send(smuggled(sequence, b"you@there.example", b"mark"), pieces=pieces)
    if policy == "reject" or b"\0" in sequence:
        assert verdict == 550
        assert upstream.messages == []
    else:
        assert verdict == 250
        (message,) = upstream.messages
        assert message.octets.count(b"mark-second") == 1
    assert not any(line.startswith(b"MAIL FROM:<evil-mark") for line in upstream.commands)


@pytest.mark.parametrize("sequence", SEQUENCES, ids=name)
def test_a_next_hop_that_can_be_fooled_is_fooled_without_the_relay(behaves, sequence):
    """The toy servers of these tests are as gullible as they claim: straight to them, two messages arrive."""
    behaves.other_ends = (sequence,)
    with Attacker(("127.0.0.1", behaves.port)) as client:
        client.greet()
        client.begin_message()
        client.say(smuggled(sequence, b"you@there.example", b"mark"))
        assert [client.hear().code for _ in range(5)] == [250, 250, 250, 354, 250]
    assert len(behaves.messages) == 2
    behaves.other_ends = ()
