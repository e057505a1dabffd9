"""The copy of a message on a disk that is full: told in time, and never by an exception."""

from __future__ import annotations

from relay.retry.copy import Copy


class FullDisk:
    """Takes octets into a buffer, and has no place for them when it is asked."""

    def __init__(self, *, refuses: str) -> None:
        self._refuses = refuses

    def __getattr__(self, name: str) -> object:
        def asked(*_: object) -> None:
            if name in self._refuses:
                raise OSError(28, "No space left on device")

        return asked


def copy_on(disk: FullDisk) -> Copy:
    copy = Copy(1 << 20)
    copy.close()
    copy._file = disk
    return copy


def test_what_is_still_in_a_buffer_counts_only_when_the_disk_has_it():
    copy = copy_on(FullDisk(refuses="flush truncate close"))
    copy.write(b"the last piece")
    assert not copy.broken
    copy.complete()
    assert copy.broken
    copy.close()


def test_a_piece_that_finds_no_place_breaks_the_copy_alone():
    copy = copy_on(FullDisk(refuses="write truncate close"))
    copy.write(b"a piece")
    assert copy.broken
    assert copy.size == 7
    copy.close()
