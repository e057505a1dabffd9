"""What the fuzzed dialogue has found, each as its shortest case, in hand-moved time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fuzz_upstream import Said
from fuzz_world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENVELOPE = b"EHLO client.test\r\nMAIL FROM:<s1@a.test>\r\nRCPT TO:<r2@b.test>\r\n"


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.end()


def test_a_client_that_falls_silent_in_its_message_is_dismissed(world: World):
    client = world.connect()
    client.say(_ENVELOPE + b"DATA\r\n")
    world.answer_all()
    world.wait(100)
    assert not client.closed
    world.wait(100)  # timeouts.client_data: 180
    assert client.closed
    assert world.upstreams[0].over


@pytest.mark.parametrize("chunk", [b"BDAT 5 LAST\r\nhello", b"BDAT 0 LAST\r\n"])
def test_a_success_said_before_the_last_chunk_came_is_not_its_verdict(world: World, chunk: bytes):
    client = world.connect()
    client.say(_ENVELOPE)
    world.answer_all()
    client.say(chunk)
    world.upstreams[0].answer(world.good(("MESSAGE", b"")))  # the relay finds both at once
    world.settle()  # the verdict must be the upstream's own
    assert client.waiting == []
    assert client.talk.confirmed == []


def test_a_chunk_whose_upstream_leaves_before_its_reply_is_answered(world: World):
    client = world.connect()
    client.say(_ENVELOPE)
    world.answer_all()
    client.say(b"BDAT 5\r\nhello")
    world.settle()
    assert client.waiting != []
    world.upstreams[0].close()
    world.settle()
    assert client.waiting == []


def test_a_reply_begun_before_the_final_dot_is_not_the_verdict(world: World):
    client = world.connect()
    client.say(_ENVELOPE + b"DATA\r\n")
    world.answer_all()
    world.upstreams[0].answer(world.good(("MESSAGE", b"")), half=True)
    world.settle()
    client.say(b"hello\r\n.\r\n")
    world.settle()
    world.answer_all()
    assert client.talk.confirmed == []


def test_a_client_that_has_closed_its_side_behind_data_is_not_waited_for(world: World):
    client = world.connect()
    client.say(_ENVELOPE + b"DATA\r\n")
    client.half_close()
    world.answer_all()
    assert client.closed


def test_what_follows_a_chunk_that_was_held_back_is_answered(world: World):
    client = world.connect()
    client.say(_ENVELOPE)
    world.answer_all()
    client.say(b"BDAT 6 LAST\r\nhello\nNOOP\r\n")
    world.upstreams[0].answer(world.good(("DATA", b"")))  # unasked: the chunk is held back, and the upstream given up
    world.settle()
    assert client.waiting == []


def test_a_login_whose_new_connection_is_dead_at_once_is_answered_and_so_is_what_follows(world: World):
    client = world.connect()
    client.say(b"EHLO client.test\r\n")
    world.answer_all()
    world.upstreams[0].close()
    client.say(b"AUTH PLAIN AHVzZXIAMQ==\r\nNOOP\r\n")
    world.settle()
    world.upstreams[1].answer(world.good(("CONNECT", b"")))
    world.settle()
    world.upstreams[1].answer(world.good(("EHLO", b"")))
    world.upstreams[1].answer(world.good(("MESSAGE", b"")))  # unasked, in one breath with the reply to EHLO
    world.settle()
    assert client.waiting == []


def test_a_login_behind_a_lost_upstream_forgets_the_mail(world: World):
    client = world.connect()
    client.say(_ENVELOPE)
    world.answer_all()
    world.upstreams[0].close()
    world.settle()
    client.say(b"AUTH PLAIN AGEAYg==\r\n")
    world.answer_all()
    client.say(b"RCPT TO:<r3@b.test>\r\n")  # 503, as the model knows
    world.settle()
    assert client.waiting == []


def test_a_command_may_have_a_name_of_the_model(world: World):
    client = world.connect()
    client.say(b"CHUNK\r\nMESSAGE x\r\nCONNECT\r\nOVERLONG\r\n")
    world.settle()
    assert client.waiting == []


def test_a_client_goes_on_after_a_mail_whose_new_connection_died_before_it_was_said(world: World):
    client = world.connect()
    client.say(b"HELO client.test\r\nMAIL FROM:<s1@a.test>\r\n")
    world.settle()
    (upstream,) = world.upstreams
    upstream.answer(world.good(("CONNECT", b"")))
    world.settle()
    for _ in range(2):  # the second is an answer to nothing
        upstream.answer(Said(220, b"220 again\r\n"))
    world.settle()
    assert client.waiting == []
    client.say(b"MAIL FROM:<s2@a.test>\r\n")
    world.answer_all()
    assert client.waiting == []
