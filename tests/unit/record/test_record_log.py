"""The log: whole lines, never in the way, nothing lost without being told."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from relay.record import log as log_module
from relay.record.log import start_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def root_logger():
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = kept, level


def events(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.log"


@pytest.mark.parametrize("direct", [False, True])
def test_events_become_lines_in_their_order(path, direct):
    log = start_log(style="json", file=path, level="info", direct=direct)
    for number in range(500):
        log.info("told", number=number)
    log.stop()
    assert [event["number"] for event in events(path)] == list(range(500))


def test_the_level_leaves_out_what_is_less_important(path):
    log = start_log(style="json", file=path, level="warning")
    log.info("good")
    log.warning("bad")
    log.error("worse")
    log.stop()
    assert [(event["event"], event["level"]) for event in events(path)] == [("bad", "warning"), ("worse", "error")]


def test_what_cannot_be_put_into_words_is_said_so_and_does_not_fail(path):
    log = start_log(style="json", file=path, level="info")
    log.info("odd", words="\ud800")
    log.info("good")
    log.stop()
    odd, good = events(path)
    assert odd["event"] == "unloggable" and "ud800" in str(odd["what"])
    assert good["event"] == "good"


def test_a_moved_file_is_left_when_told(path):
    log = start_log(style="json", file=path, level="info", direct=True)
    log.info("before")
    path.rename(path.with_suffix(".1"))
    log.info("still the old file")
    log.reopen()
    log.info("after")
    log.stop()
    assert [event["event"] for event in events(path)] == ["after"]
    assert [event["event"] for event in events(path.with_suffix(".1"))] == ["before", "still the old file"]


@pytest.mark.parametrize("direct", [True, False])
def test_a_new_file_that_cannot_be_opened_is_told_of_in_the_old_one_and_tried_again(path, monkeypatch, direct):
    def until(done: Callable[[], bool]) -> None:
        begun = time.monotonic()
        while not done() and time.monotonic() < begun + 5:
            time.sleep(0.01)
        assert done()

    monkeypatch.setattr(log_module, "_REOPEN_SECONDS", 0.3)
    log = start_log(style="json", file=path, level="info", direct=direct)
    old = path.with_suffix(".1")
    path.rename(old)
    path.mkdir()
    log.reopen()
    until(lambda: b"log_not_reopened" in old.read_bytes())
    time.sleep(0.4)
    log.info("tried in vain again, which is no news")
    until(lambda: b"no news" in old.read_bytes())
    path.rmdir()
    time.sleep(0.4)
    log.info("after")
    log.stop()
    assert [event["event"] for event in events(old)] == ["log_not_reopened", "tried in vain again, which is no news"]
    assert "Is a directory" in events(old)[0]["why"]
    assert [event["event"] for event in events(path)] == ["after"]


@pytest.mark.parametrize("direct", [True, False])
def test_an_old_file_that_cannot_be_closed_ends_no_log(path, monkeypatch, direct):
    log = start_log(style="json", file=path, level="info", direct=direct)
    path.rename(path.with_suffix(".1"))
    close = os.close

    def full(descriptor: int) -> None:
        close(descriptor)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_module.os, "close", full)
    log.reopen()
    log.info("after")
    log.stop()
    assert [event["event"] for event in events(path)] == ["after"]


def test_who_asks_for_the_new_file_while_it_is_opened_is_heard(path, monkeypatch):
    log = start_log(style="json", file=path, level="info", direct=True)
    opened = log._open

    def moved_meanwhile() -> int:
        monkeypatch.undo()
        descriptor = opened()
        path.rename(path.with_suffix(".2"))
        log._reopen = True  # as another thread does
        return descriptor

    monkeypatch.setattr(log, "_open", moved_meanwhile)
    log.reopen()
    log.info("after")
    log.stop()
    assert [event["event"] for event in events(path)] == ["after"]


def test_what_a_full_disk_did_not_take_is_counted_and_told_later(path, monkeypatch):
    log = start_log(style="json", file=path, level="info", direct=True)
    write = os.write

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_module.os, "write", full)
    log.info("lost")
    log.info("lost too")
    monkeypatch.setattr(log_module.os, "write", write)
    log.info("written")
    log.stop()
    written, told = events(path)
    assert written["event"] == "written"
    assert (told["event"], told["count"], told["level"]) == ("log_events_dropped", 2, "error")


def test_too_many_waiting_lines_are_dropped_and_counted(path, monkeypatch):
    monkeypatch.setattr(log_module, "_WAITING_OCTETS", 300)
    monkeypatch.setattr(log_module, "_GATHER_SECONDS", 0.2)
    log = start_log(style="json", file=path, level="info")
    for number in range(10):
        log.info("told", number=number)
    log.stop()
    *told, dropped = events(path)
    assert (dropped["event"], dropped["count"]) == ("log_events_dropped", 10 - len(told))
    assert [event["number"] for event in told] == list(range(len(told)))


def test_to_a_pipe_go_whole_lines_of_no_more_than_is_written_at_once(tmp_path, monkeypatch):
    """More than PIPE_BUF could be mixed with the lines of another process."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    pieces: list[bytes] = []
    write = os.write
    monkeypatch.setattr(log_module.os, "write", lambda to, octets: pieces.append(octets) or write(to, octets))
    log = start_log(style="json", file=pipe, level="info")
    for number in range(100):
        log.info("told", number=number, words="x" * 100)
    log.stop()
    whole = os.read(reader, 1 << 16)
    os.close(reader)
    assert whole.count(b"\n") == 100
    assert all(piece.endswith(b"\n") and len(piece) <= 4096 for piece in pieces)


def test_long_lines_of_several_processes_are_not_mixed_in_a_pipe():
    program = """
import sys
from relay.record.log import start_log
log = start_log(style="json", file=None, level="info")
for number in range(50):
    log.info("told", who=sys.argv[1], words=sys.argv[1] * 50_000)
log.stop()
"""
    reader, writer = os.pipe()
    processes = [subprocess.Popen([sys.executable, "-c", program, name], stderr=writer) for name in "abc"]
    os.close(writer)
    with os.fdopen(reader) as pipe:
        told = [json.loads(line) for line in pipe]
    assert [process.wait(10) for process in processes] == [0, 0, 0]
    assert len(told) == 150
    assert all(set(event["words"]) == {event["who"]} for event in told)


def test_pythons_own_logging_goes_the_same_way(path):
    log = start_log(style="json", file=path, level="info")
    try:
        {}["x"]
    except KeyError:
        logging.getLogger("somewhere").exception("a bug")
    log.stop()
    (event,) = events(path)
    assert (event["event"], event["logger"], event["level"]) == ("a bug", "somewhere", "error")
    assert "KeyError" in str(event["exception"])


def test_for_people_a_line_is_short(path):
    log = start_log(style="console", file=path, level="info", direct=True)
    log.info("relay_ready", listen=["127.0.0.1:2525"], nothing=None)
    log.stop()
    text = path.read_text()
    assert "relay_ready" in text and "127.0.0.1:2525" in text and "nothing" not in text and text.count("\n") == 1


def test_a_line_that_a_full_disk_has_cut_off_does_not_spoil_the_next(path, monkeypatch):
    log = start_log(style="json", file=path, level="info", direct=True)
    log.info("whole")

    def full(descriptor: int, octets: bytes) -> int:
        if len(octets) <= 20:
            raise OSError(28, "No space left on device")
        return write(descriptor, octets[:-20])

    write = os.write
    monkeypatch.setattr(log_module.os, "write", full)
    log.info("cut off")
    monkeypatch.undo()
    log.info("next")
    whole, cut, *others = path.read_text().splitlines()
    assert json.loads(whole)["event"] == "whole"
    assert '"event":"cut o' in cut
    assert {json.loads(line)["event"] for line in others} == {"next", "log_events_dropped"}


def test_without_a_thread_a_long_line_waits_for_no_room_in_a_pipe(tmp_path):
    """There is room for some octets of it, which is what the system tells, and for no more."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    log = start_log(style="json", file=pipe, level="info", direct=True)
    for _ in range(40):
        log.info("long", words="x" * 7000)
    log.stop()


def test_the_log_outlives_whatever_happens_to_it(path, monkeypatch):
    log = start_log(style="json", file=path, level="info")
    write, times = log._write, iter(range(9))

    def fails_once(octets: bytes) -> None:
        if next(times, 1) == 0:
            raise MemoryError
        write(octets)

    monkeypatch.setattr(log, "_write", fails_once)
    log.info("first")
    deadline = time.monotonic() + 5
    while not log._dropped and time.monotonic() < deadline:
        time.sleep(0.01)
    log.info("second")
    log.stop()
    assert [(event["event"], event.get("count")) for event in events(path)] == [
        ("second", None),
        ("log_events_dropped", 1),
    ]


@pytest.mark.parametrize("direct", [False, True])
def test_a_named_pipe_that_nobody_reads_yet_or_any_more_makes_nobody_wait(tmp_path, direct):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    log = start_log(style="json", file=pipe, level="info", direct=direct)
    log.info("before")
    for number in range(2):
        with pipe.open("rb", buffering=0) as reader:
            assert reader.readline().count(b'"event":') == 1
        log.info("between", number=number)
        log.reopen()
        log.info("behind", number=number)
    log.stop()


def test_without_a_thread_a_pipe_that_nobody_reads_makes_nobody_wait(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = start_log(style="json", file=pipe, level="info", direct=True)
    for number in range(2000):  # far more than the pipe holds
        log.info("told", number=number)
    read = os.read(reader, 1 << 20)
    log.info("last")
    read += os.read(reader, 1 << 20)
    os.close(reader)
    told = [json.loads(line) for line in read.splitlines()]
    (dropped,) = (event["count"] for event in told if event["event"] == "log_events_dropped")
    assert len(told) - 2 + dropped == 2000


def test_on_a_terminal_nothing_steers_it(path):
    log = start_log(style="console", file=path, level="info", direct=True)
    log.info("relay_failure", sender="a\x9b2Jb\u202ec@d.test", recipient="j\u00fcrgen@d.test")
    log.stop()
    told = path.read_text("utf-8")
    assert "a\\x9b2Jb\\u202ec@d.test" in told
    assert "j\u00fcrgen@d.test" in told


@pytest.mark.parametrize("letter", "\x07\r\x1b\x7f\x80\x85\x9b\x9f\u061c\u200e\u200f\u2028\u202a\u202e\u2066\u2069")
@pytest.mark.parametrize("words", ["a{}b@there.example", "an {} in words"])
@pytest.mark.parametrize("colours", [False, True])
def test_on_a_terminal_nothing_steers_it_wherever_it_stands(monkeypatch, letter, words, colours):
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(isatty=lambda: colours))
    render = log_module._console(None)
    told = words.format(letter)
    event = {"time": datetime.now(UTC), "event": told, "level": "info", "exception": told}
    line = render({**event, "recipient": told, "listed": [told]}).decode()
    assert ("\x1b[0m" in line) == colours
    assert letter not in re.sub(r"\x1b\[\d*m", "", line)
