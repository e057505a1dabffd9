"""The message on its way, against an oracle that looks at one octet after the other."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.smtp import Fault
from relay.smtp import message as message_module
from relay.smtp.message import MessageScanner, NewlineGuard, even_lines

_POLICIES = pytest.mark.parametrize("normalize", [False, True])
_ALPHABET = (b"\r", b"\n", b".", b"\0", b"a")
_ALL = [b"".join(parts) for length in range(7) for parts in itertools.product(_ALPHABET, repeat=length)]
_END = b"\r\n.\r\n"


@pytest.fixture(scope="module", autouse=True, params=["few octets", "many octets"])
def _every_way_of_looking(request: pytest.FixtureRequest):
    """Large pieces are looked at by columns first: so are all pieces here, the second time."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "many octets":
            patch.setattr(message_module, "_MANY_OCTETS", 0)
            patch.setattr(message_module, "_LONG_LINE", 2)
        yield


@dataclass
class Outcome:
    passed: bytes = b""
    faults: frozenset[Fault] = frozenset()
    ended: bool = False
    rest: bytes = b""
    size: int = 0


def expected(data: bytes, *, normalize: bool) -> Outcome:
    """What RFC 5321 section 4.5.2 and the two policies make of `data`, written down without any cleverness."""
    end = (b"\r\n" + data).find(_END)
    ended = end >= 0
    message = data[: end + 3] if ended else data
    if not ended:
        message = message.removesuffix(_unfinished(message, normalize=normalize))
    bare = list(_bare_at(message))
    faults = {Fault.NUL} if b"\0" in message else set()
    if bare and not normalize:
        faults.add(Fault.BARE_NEWLINE)
    return Outcome(
        passed=_mended(message, bare) if normalize else message,
        faults=frozenset(faults),
        ended=ended,
        rest=data[end + 3 :] if ended else b"",
        size=len(message) - _dots(message) - (2 if ended else 0),
    )


def _unfinished(message: bytes, *, normalize: bool) -> bytes:
    """What cannot be passed on yet: a CR is alone or half a CRLF; a dot in front of it may be one of transparency."""
    if normalize:
        for undecided in (b".\r", b"."):
            if (b"\r\n" + message).endswith(b"\r\n" + undecided):
                return undecided
    return b"\r" if message.endswith(b"\r") else b""


def _bare_at(message: bytes):
    for index, octet in enumerate(message):
        before, after = message[index - 1 : index] if index else b"", message[index + 1 : index + 2]
        if (octet == 0x0D and after != b"\n") or (octet == 0x0A and before != b"\r"):
            yield index


def _mended(message: bytes, bare: list[int]) -> bytes:
    out = b""
    for index in range(len(message)):
        if index in bare:
            if (b"\r\n" + out).endswith(b"\r\n.") and index - 2 not in bare:  # transparency: not part of the text
                out = out[:-1]
            out += b"\r\n"
        elif message[index] == 0x2E and index - 1 in bare:
            out += b".."
        else:
            out += message[index : index + 1]
    return out


def _dots(message: bytes) -> int:
    return (b"\r\n" + message).count(b"\r\n.")


def scanned(pieces: list[bytes], *, normalize: bool) -> tuple[Outcome, MessageScanner]:
    scanner = MessageScanner(normalize=normalize)
    out, rest = b"", b""
    for piece in pieces:
        if scanner.ended:
            rest += piece
        else:
            out += scanner.feed(piece)
    faults = frozenset() if scanner.fault is None else frozenset({scanner.fault})
    return Outcome(out, faults, scanner.ended, scanner.rest + rest, scanner.size), scanner


def check(pieces: list[bytes], *, normalize: bool) -> None:
    data = b"".join(pieces)
    want, (got, _) = expected(data, normalize=normalize), scanned(pieces, normalize=normalize)
    where = f"{pieces!r} normalize={normalize}"
    assert (got.ended, got.rest) == (want.ended, want.rest), where
    assert got.faults <= want.faults, (where, got.faults, want.faults)
    if got.ended:  # before that the last CR may not be judged yet
        assert bool(got.faults) == bool(want.faults), (where, got.faults, want.faults)
    if want.faults:
        assert want.passed.startswith(got.passed), where  # nothing behind the fault went up
        assert not got.passed.endswith(_END), where
    else:
        assert (got.passed, got.size) == (want.passed, want.size), (where, got.size, want.size)


@_POLICIES
def test_every_short_message_in_one_piece(normalize: bool):
    for data in _ALL:
        check([data], normalize=normalize)
        check([data + _END], normalize=normalize)


@_POLICIES
def test_every_short_message_octet_by_octet(normalize: bool):
    for data in _ALL:
        check([data[at : at + 1] for at in range(len(data))], normalize=normalize)
        check([data[at : at + 1] for at in range(len(data))] + [_END], normalize=normalize)


@_POLICIES
def test_every_short_message_before_its_end_in_two_pieces(normalize: bool):
    for data in _ALL[:: 1 if len(_ALL) < 4000 else 7]:
        for at in range(len(data) + 1):
            check([data[:at], data[at:] + b"\r\n", b".\r\nNOOP\r\n"], normalize=normalize)


@_POLICIES
def test_every_message_of_four_octets_in_every_cut(normalize: bool):
    for data in _ALL[:781]:
        whole = data + _END
        for cuts in itertools.product((False, True), repeat=len(whole) - 1):
            if sum(cuts) <= 3:
                check(_cut(whole, cuts), normalize=normalize)


def _cut(data: bytes, cuts: tuple[bool, ...]) -> list[bytes]:
    places = [0, *(at + 1 for at, cut in enumerate(cuts) if cut), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


_pieces = st.lists(st.sampled_from([*_ALPHABET, b"\r\n", b"\r\n.", _END, b"text", b"\xff" * 5, b".."]), max_size=30)


@_POLICIES
@given(parts=_pieces, size=st.integers(1, 9))
def test_any_message_in_any_cut(parts: list[bytes], size: int, normalize: bool):
    data = b"".join(parts)
    check([data[at : at + size] for at in range(0, len(data), size)], normalize=normalize)


@given(parts=_pieces)
@example(parts=[b".", b"\n"])
def test_what_is_normalised_holds_no_second_message(parts: list[bytes]):
    """However the next server takes line ends, it sees one message: no bare CR or LF, one final dot."""
    data = b"".join(parts).replace(b"\0", b"") + _END
    got, scanner = scanned([data], normalize=True)
    assert scanner.ended and scanner.fault is None
    plain = got.passed.replace(b"\r\n", b"")
    assert b"\r" not in plain and b"\n" not in plain
    assert (b"\r\n" + got.passed).find(_END) == len(got.passed) - 3


def test_long_lines_and_trailing_blanks_pass():
    message = b"x" * 5000 + b" \t \r\n" + bytes(range(0x80, 0x100)) + _END
    got, _ = scanned([message[:4000], message[4000:]], normalize=False)
    assert got.passed == message


def test_at_most_one_octet_is_held_back():
    scanner = MessageScanner()
    sent = passed = 0
    for piece in (b"a\r", b"\nb\r", b"\n.\r", b"\n"):
        sent += len(piece)
        passed += len(scanner.feed(piece))
        assert sent - passed <= 1
    assert scanner.ended and sent == passed


def test_a_crlf_may_be_shared_by_two_pieces_of_a_chunk():
    guard = NewlineGuard()
    assert guard.look(b"a\r") is None
    assert guard.look(b"\nb\r") is None
    assert guard.look(b"", final=True) is Fault.BARE_NEWLINE


def test_lines_of_one_length_are_known_only_where_all_is_well(monkeypatch: pytest.MonkeyPatch):
    """Over every short piece: what the columns find to be clean is clean."""
    monkeypatch.setattr(message_module, "_LONG_LINE", 2)
    known = [data for data in _ALL if even_lines(data)]
    assert all(not list(_bare_at(data)) for data in known)
    assert {b"\r\n\r\n", b"a\r\na\r\n", b"\r\naa\r\n"} <= {*known}


_lines = st.tuples(st.integers(0, 100), st.integers(1, 40), st.integers(0, 100)).map(
    lambda drawn: (b"x" * drawn[0] + b"\r\n") * drawn[1] + b"x" * min(drawn[2], drawn[0])
)


@given(lines=_lines, skipped=st.integers(0, 60), at=st.integers(0), wrong=st.sampled_from([*_ALPHABET, b"", b"\r\n"]))
def test_one_wrong_octet_in_lines_of_one_length_is_seen(lines: bytes, skipped: int, at: int, wrong: bytes):
    at %= len(lines)
    replaced, inserted = lines[:at] + wrong + lines[at + 1 :], lines[:at] + wrong + lines[at:]
    for data in (lines[skipped:], replaced[skipped:], inserted[skipped:]):
        guard = NewlineGuard()
        bare = list(_bare_at(data))
        assert not (bare and even_lines(data))
        assert (guard.look(data, final=True) is not None) == (bool(bare) or b"\0" in data)


def test_a_cr_at_the_end_of_a_chunk_is_not_forgotten_over_lines_of_one_length():
    guard = NewlineGuard()
    assert guard.look(b"a\r") is None
    assert guard.look(b"bbbb\r\nbbbb\r\n") is Fault.BARE_NEWLINE
