"""What the fuzzed dialogue has found, each as its shortest case, in hand-moved time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
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
