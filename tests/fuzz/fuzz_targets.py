"""What is fuzzed, one function each: it takes any octets, and raises where the relay does what it must never do."""

from __future__ import annotations

import ipaddress
import json
import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz_clock import read_all
from fuzz_oracle import read_message, read_replies
from fuzz_scanner import difference
from fuzz_world import World, book

from relay.config import Flags, Settings, SettingsError, load
from relay.explain import Book, BookError, Failure, Style, render
from relay.explain.chapter import read_chapter, read_servers
from relay.explain.excerpt import failures_in
from relay.smtp import Phase, Reply
from relay.smtp.command import parse_path
from relay.smtp.hearing import MAX_LINES, GarbledError, ReplyReader
from relay.smtp.sasl import LoginObserver, well_formed

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.smtp.command import Path as MailPath

CORPUS = Path(__file__).parent / "corpus"
_BLANKS = b" \t"
_MECHANISMS = (b"PLAIN", b"LOGIN", b"CRAM-MD5", b"XOAUTH2", b"OAUTHBEARER", b"SCRAM-SHA-256", b"x")
_PROXY = ipaddress.ip_network("127.0.0.1")


def commands(octets: bytes) -> None:
    """A client says this in pieces of one size; the model of `fuzz_client` watches."""
    size = octets[0] % 16 + 1 if octets else 1
    pieces = [octets[at : at + size * 8] for at in range(1, len(octets), size * 8)]
    world = World(normalize=bool(octets and octets[0] & 0x80))
    try:
        client = world.connect()
        for piece in pieces:
            client.say(piece)
            world.answer_all()
    finally:
        world.end()


def path(octets: bytes) -> None:
    """What `parse_path` passes on is what came, octet for octet, and holds no control octet."""
    for keyword in (b"FROM:", b"TO:"):
        for argument in (octets, keyword + octets):
            found = parse_path(argument, keyword)
            if found is not None:
                came = argument.strip(_BLANKS)  # blanks around the keyword are dropped
                assert came[: len(keyword)].upper() == keyword
                _compare_path(found, came[len(keyword) :].strip(_BLANKS))


def _compare_path(found: MailPath, came: bytes) -> None:
    if not came.startswith(b"<"):  # brackets are added
        address = came.replace(b"\t", b" ").partition(b" ")[0]
        came = b"<" + address + b">" + came[len(address) :]
    assert found.wire == came, (found, came)
    assert found.octets[:1] == b"<" and found.octets[-1:] == b">"
    assert not [octet for octet in found.wire if (octet < 0x20 and octet != 0x09) or octet == 0x7F]
    assert isinstance(found.address, str)
    assert found.declared_size is None or found.declared_size >= 0


def replies(octets: bytes) -> None:
    """Whatever the cuts, the replies are those of the oracle, and never two codes in one."""
    size, octets = (octets[0] % 7 + 1, octets[1:]) if octets else (1, b"")
    want = read_replies(octets)
    if max((len(lines) for _, lines in want.heard), default=0) > MAX_LINES:
        return
    for pieces in ([octets], [octets[at : at + size] for at in range(0, len(octets), size)]):
        reader, heard, garbled = ReplyReader(), [], False
        try:
            for piece in pieces:
                heard += reader.feed(piece)
        except GarbledError:
            garbled = True
        assert garbled == want.garbled or len(octets) > 1000, (heard, want)
        assert heard == list(want.heard[: len(heard)]), (heard, want)
        assert garbled or (len(heard) == len(want.heard) and reader.empty == (not want.unfinished)), (heard, want)


def message(octets: bytes) -> None:
    """The scanner of messages against the oracle, with pieces of a few sizes."""
    normalize, size, octets = bool(octets[:1] > b"\x7f"), (octets[0] % 16 + 1 if octets else 1), octets[1:]
    whole = octets + b"\r\n.\r\nNOOP\r\n"
    pieces = [octets[at : at + size] for at in range(0, len(octets), size)]
    why = difference(pieces, whole, read_message(whole), normalize=normalize)
    assert not why, why


def proxy_header(octets: bytes) -> None:
    """A load balancer says this first: the client behind it is greeted or refused in good form, and nothing breaks."""
    world = World()
    try:
        client = world.connect_behind(_PROXY)
        client.send(octets)
        world.loop.advance(1.0)
        world.loop.advance(30.0)
        heard = read_replies(read_all(client)[0])
        assert not heard.garbled and not heard.unfinished
        assert [code for code, _ in heard.heard][:1] in ([220], [421]), heard
        client.close()
    finally:
        world.end()


def login(octets: bytes) -> None:
    """Any answers in any login: the user name is found or not, and is never what PLAIN has as the password."""
    mechanism, *answers = octets.split(b"\n")
    for name in (mechanism, *_MECHANISMS):
        observer = LoginObserver(name)
        for answer in answers:
            if well_formed(answer):
                assert not set(answer) & set(b"\r\n\0 ")
            observer.heard(answer)
        assert observer.user is None or observer.user


def excerpt(octets: bytes) -> None:
    """Whatever a person pastes, the refusals in it are found and explained, and each explanation is well formed."""
    for failure in failures_in(octets.decode("utf-8", "replace")):
        if 400 <= failure.reply.code <= 599:
            _explain(failure)
        else:
            book().explain(failure)


def reply(octets: bytes) -> None:
    """Whatever an upstream says, its explanation is well formed and keeps its codes."""
    code = 400 + (octets[0] + 256 * octets[1]) % 200 if len(octets) > 1 else 550
    phase = (None, *Phase)[octets[2] % (len(Phase) + 1)] if len(octets) > 2 else None
    lines = tuple(octets[3:].split(b"\r\n"))[:MAX_LINES]
    _explain(Failure(Reply(phase, code, lines), "mx.b.test", sender="a@b.test", recipient="c@d.test"))


def _explain(failure: Failure) -> None:
    for style in Style:
        for utf8 in (False, True):
            explanation = book().explain(replace(failure, utf8=utf8))
            wire = render(explanation, style=style, ref="7K3QF2", utf8=utf8)
            read = read_replies(wire)
            assert [code for code, _ in read.heard] == [failure.reply.code] and not read.garbled and not read.unfinished
            for line in wire[:-2].split(b"\r\n"):
                assert len(line) <= 510, line
                assert line[4:].decode("utf-8" if utf8 else "ascii").isprintable(), line
                assert failure.reply.status is None or line[4:].startswith(failure.reply.status.encode() + b" ")


def chapter(octets: bytes) -> None:
    """A file of the book: pages or mistakes in words, never a traceback."""
    text = octets.decode("utf-8", "replace")
    pages, problems = read_chapter("fuzzed.yaml", text)
    servers, wrong = read_servers("servers.yaml", text)
    assert all(isinstance(problem, str) and problem.startswith("fuzzed.yaml") for problem in problems)
    assert all(problem.startswith("servers.yaml") for problem in wrong)
    with suppress(BookError):
        Book((*pages, *book().pages[-1:]), servers).compile()


def settings(octets: bytes) -> None:
    """A settings file: settings, or mistakes in words."""
    place = _folder() / "relay.yaml"
    place.write_bytes(octets)
    try:
        found = load(place, Flags(), {})
    except SettingsError as error:
        found = error
    assert isinstance(found, Settings) or str(found).startswith("The settings have ")


def event(octets: bytes) -> None:
    """A line of a JSON log, perhaps of another program: refusals or none."""
    with suppress(ValueError):
        found = json.loads(octets)
        if isinstance(found, dict):
            excerpt(json.dumps({**found, "event": "relay_failure"}, separators=(",", ":")).encode())


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-settings-"))


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (commands, path, replies, message, proxy_header, login, excerpt, reply, chapter, settings, event)
}


def seeds(name: str) -> list[bytes]:
    """The kept inputs of a target."""
    return [file.read_bytes() for file in sorted((CORPUS / name).iterdir())]
