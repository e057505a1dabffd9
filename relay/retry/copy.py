"""The message a client sends, passed on and kept at the same time, so that it can be sent again."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

from relay.proxy.body import Body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.retry.patient import PatientTransaction

_PIECE_OCTETS = 1 << 18


class Copy:
    """The octets of a message as they go behind DATA: in memory, beyond a size in a file that has no name."""

    def __init__(self, memory: int) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=memory)  # noqa: SIM115 -- `close` ends it
        self.size = 0
        self.broken = False  # the disk did not take it: it cannot be sent again

    def write(self, octets: bytes) -> None:
        """Keep the next piece."""
        self.size += len(octets)
        if self.broken:
            return
        try:
            self._file.write(octets)
        except OSError:
            self._break()

    def complete(self) -> None:
        """All of it came: let the disk have what is still in a buffer, so that it is known now whether it fits."""
        try:
            self._file.flush()
        except OSError:
            self._break()

    def pieces(self) -> Iterator[bytes]:
        """All of it, from the start."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE_OCTETS):
            yield piece

    def close(self) -> None:
        """Forget it."""
        with suppress(OSError):  # a full disk, which is asked in vain for the octets in the buffer
            self._file.close()

    def _break(self) -> None:
        self.broken = True
        with suppress(OSError):
            self._file.truncate(0)


class CopiedBody(Body):
    """Message data after DATA. The last piece, final dot included, is not passed on: it is handed to the transaction.

    So the dot leaves only when all that must come before it is done.
    """

    def __init__(self, transaction: PatientTransaction, copy: Copy) -> None:
        super().__init__(transaction)
        self._patient = transaction
        self._copy = copy

    def feed(self, octets: bytes) -> bytes:
        """Keep a piece and pass it on; return what follows the final dot."""
        patient, scanner = self._patient, self._scanner
        clean = scanner.feed(octets)
        if self._verdict is None:
            self._check()
        if self._verdict is None:
            self._copy.write(clean)
        if not scanner.ended:
            if self._verdict is None:
                patient.pass_on(clean)
            return b""
        patient.size = scanner.size
        patient.client.take_lines()
        self.complete = True
        self._copy.complete()
        patient.completed(clean, self._verdict)
        return scanner.rest
