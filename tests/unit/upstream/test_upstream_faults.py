"""What is told of an exception of socket or ssl."""

from __future__ import annotations

import errno
import os

import pytest

from relay.smtp import Fault
from relay.upstream.faults import connect_fault, seen


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer in time"),
        (ConnectionResetError(), "the connection was closed"),  # what asyncio makes of an end within the TLS handshake
        (ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)), "Connection reset by peer"),
        (ConnectionAbortedError("SSL handshake is taking longer"), "SSL handshake is taking longer"),
    ],
)
def test_an_exception_is_told_in_one_line(error: Exception, words: str):
    assert seen(error) == words


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
def test_a_machine_without_room_is_not_a_network_without_a_path(number: int):
    assert connect_fault(OSError(number, os.strerror(number))) is Fault.EXHAUSTED
