"""`relay queue` while a relay runs: letters shown, held, tried now, dropped."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from retry_relay import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from retry_relay import Relay
    from retry_upstream import Upstream


def test_letters_are_listed_shown_held_released_and_dropped(
    upstream: Upstream, relays: Callable[..., Relay], database: str
):
    upstream.busy = True
    relay = relays(retry__mode="spool", database__url=database, retry__spool__first="90", retry__spool__longest="90")
    relay.send("one@b.test", "first")
    relay.send(["two@b.test", "three@b.test"], "second")
    first, second = relay.queue("list")
    assert (first["kind"], first["state"], first["sender"], first["attempts"]) == ("mail", "queued", "anna@a.test", 0)
    assert [each["recipient"] for each in second["recipients"]] == ["two@b.test", "three@b.test"]
    assert first["recipients"][0]["words"] == ["4.3.2 Busy"]
    assert 0 < first["due_in"] <= 115
    assert relay.queue("show", first["id"])[0]["recipients"][0]["code"] == 451
    assert relay.queue("hold", first["id"]) == [{"command": "hold", "letters": 1}]
    assert [each["id"] for each in relay.queue("list", "--state", "held")] == [first["id"]]
    upstream.busy = False
    assert relay.queue("retry", second["id"]) == [{"command": "retry", "letters": 1}]
    wait_for(lambda: upstream.reached() == [b"<two@b.test>", b"<three@b.test>"], "the letter that was to be tried now")
    assert relay.queue("release", "--all")[0]["letters"] >= 1
    assert relay.queue("drop", first["id"]) == [{"command": "drop", "letters": 1}]
    wait_for(lambda: relay.queue("list") == [], "an empty spool")
    relay.stop()
    assert b"<one@b.test>" not in upstream.reached()


def test_a_letter_is_tried_now_although_the_upstream_is_known_to_be_down(
    upstream: Upstream, relays: Callable[..., Relay]
):
    upstream.down()
    relay = relays(retry__mode="spool", retry__spool__first="60", retry__spool__longest="60")
    relay.send("one@b.test")
    relay.queue("retry", "--all")
    wait_for(lambda: relay.events("spool_unreachable"), "a try in vain")
    upstream.up()
    relay.queue("retry", "--all")
    wait_for(lambda: upstream.reached() == [b"<one@b.test>"], "the letter")
    relay.stop()


def said(directory: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "relay", "queue", *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_for_people_it_says_what_a_reply_means(upstream: Upstream, relays: Callable[..., Relay]):
    upstream.down()
    relay = relays(retry__mode="spool")
    relay.send("one@b.test")
    (entry,) = relay.queue("list")
    status, shown = said(relay.directory, "show", entry["id"])
    assert status == 0
    assert "to <one@b.test>: 451 4.4.1 127.0.0.1:" in shown
    assert "refuses the connection" in shown
    assert "Whose move" in shown
    relay.stop()


def test_who_reads_the_list_may_stop_reading(upstream: Upstream, relays: Callable[..., Relay]):
    upstream.down()
    relay = relays(retry__mode="spool")
    relay.send("one@b.test")
    relay.stop()
    nobody, words = os.pipe()
    os.close(nobody)
    command = [sys.executable, "-m", "relay", "queue", "list"]
    done = subprocess.run(command, cwd=relay.directory, stdout=words, stderr=subprocess.PIPE, text=True, check=False)
    os.close(words)
    assert (done.returncode, done.stderr) == (1, "")


def test_mistakes_are_answered_with_status_2(tmp_path: Path):
    status, words = said(tmp_path, "list")
    assert (status, "there is no spool at" in words) == (2, True)
    status, words = said(tmp_path, "drop")
    assert (status, "name letters by their ids, or all of them with --all" in words) == (2, True)
    status, words = said(tmp_path, "list", "--set", "database.url=mysql://x")
    assert (status, "database.url" in words) == (2, True)
