"""`relay try` and `relay practice`, against the practice upstream itself: it is a mail server too."""

from __future__ import annotations

import asyncio
import base64
import signal
import sys
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from relay.cli.practice import address
from relay.cli.practice import practice as practice_command
from relay.cli.trial import trial
from relay.practice.scenario import Behaviour, Scenario
from relay.practice.scenarios import all_scenarios, find
from relay.practice.trial import Verdict, attempts
from relay.smtp import Phase

if TYPE_CHECKING:
    from click.testing import Result

    from relay.practice import PracticeServer

CLI = typer.Typer()
CLI.command("try")(trial)
CLI.command("practice")(practice_command)


async def run(*args: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, CLI, args)


async def try_one(server: PracticeServer, name: str) -> Result:
    host, port = server.address
    return await run("try", name, "--relay", f"{host}:{port}")


@pytest.mark.parametrize(
    "scenario", [each for each in all_scenarios() if not each.expect], ids=lambda each: each.address
)
async def test_every_scenario_can_be_tried(practice: PracticeServer, scenario: Scenario):
    lines = []
    verdicts = await asyncio.to_thread(
        lambda: tuple(attempts(practice.address, scenario, lambda side, line: lines.append((side, line))))
    )
    if scenario.behaviour is Behaviour.SECOND_TRY:
        assert [each.code for each in verdicts] == [scenario.code, 250]
    else:
        assert verdicts[-1].code == scenario.code
    first = scenario.lines[0].partition("{")[0]
    assert any(side == "<" and line.startswith(first) for side, line in lines)


async def test_the_whole_dialogue_is_shown_and_explained_in_a_sentence(practice: PracticeServer):
    result = await try_one(practice, "mailbox-full")
    lines = result.output.splitlines()
    assert result.exit_code == 0
    assert lines[0].startswith("< 220 ")
    assert "> MAIL FROM:<somebody@practice.example>" in lines
    assert lines[lines.index("> RCPT TO:<mailbox-full@gmail.example>") + 1].startswith("< 452-4.2.2 ")
    assert lines[-1].startswith("As expected, the answer was 452 at RCPT (Google). The mailbox has no room left")
    assert "\x1b" not in result.output


async def test_the_password_is_not_shown(practice: PracticeServer):
    result = await try_one(practice, "login-wrong-password@exim.example")
    assert result.exit_code == 0
    assert "> AUTH PLAIN (user name login-wrong-password@exim.example, password hidden)" in result.output
    assert base64.b64encode(b"\0login-wrong-password@exim.example\0practice").decode() not in result.output


async def test_a_refused_connection_needs_a_second_one_where_no_relay_opens_it(practice: PracticeServer):
    result = await try_one(practice, "no-reverse-dns")
    assert result.exit_code == 0
    assert "< 554-Bad DNS PTR resource record." in result.output
    assert "As expected, the answer was 554 at the greeting (GMX)." in result.output


async def test_greylisting_shows_both_tries(practice: PracticeServer):
    result = await try_one(practice, "greylisted")
    assert result.exit_code == 0
    assert result.output.count("> RCPT TO:<greylisted@postfix.example>") == 2
    assert "As expected, the answer was 250 at the final dot" in result.output


@pytest.mark.parametrize("name", ["drops-after-dot", "garbled-reply", "contradictory-reply"])
async def test_without_a_relay_a_broken_server_is_not_as_expected(practice: PracticeServer, name: str):
    result = await try_one(practice, name)
    assert result.exit_code == 1
    assert "Not as expected: " in result.output
    assert "is it the relay that listens there?" in result.output


async def test_a_server_that_plays_no_scenarios_is_noticed(practice: PracticeServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("relay.practice.conversation.find", lambda *_: None)
    result = await try_one(practice, "spam-at-dot")
    assert result.exit_code == 1
    assert "Not as expected: the answer was 250 at the final dot, and 550 was to come." in result.output
    assert "Is it the practice upstream that the relay passes mail to?" in result.output


async def test_a_misspelt_name_is_answered_with_the_nearest():
    result = await run("try", "mailboxfull@gmail.example")
    assert result.exit_code == 2
    assert "There is no scenario 'mailboxfull@gmail.example'. Did you mean mailbox-full" in result.output
    assert "Say which scenario" in (await run("try")).output


async def test_a_relay_that_does_not_run_is_named_with_the_cure(practice: PracticeServer):
    host, port = practice.address
    await practice.close()
    result = await run("try", "mailbox-full", "--relay", f"{host}:{port}")
    assert result.exit_code == 1
    assert f"The relay cannot be reached at {host}:{port}" in result.output
    assert "`make run`" in result.output


@pytest.mark.parametrize("command", ["try", "practice"])
async def test_the_list_names_every_scenario(command: str):
    result = await run(command, "--list")
    rows = [line.split("\t") for line in result.output.splitlines() if "\t" in line]
    assert result.exit_code == 0
    assert [(phase, name, int(code)) for phase, name, code, _ in rows] == [
        (each.phase, each.address, each.code) for each in all_scenarios()
    ]


@pytest.mark.parametrize(
    ("verdict", "code", "fits"),
    [
        (Verdict("RCPT", 550), 550, True),
        (Verdict("RCPT", 551), 550, False),
        (Verdict("MAIL", 451), 421, True),
        (Verdict("MAIL", 421), 451, True),
        (Verdict("MAIL", None), 451, False),
    ],
)
def test_a_relay_may_close_or_not_close_after_a_temporary_refusal(verdict: Verdict, code: int, fits: bool):
    assert verdict.fits(code) is fits


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:25", ("127.0.0.1", 25)), ("[::1]:2526", ("::1", 2526)), ("localhost:0", ("localhost", 0))],
)
def test_addresses_are_read(text: str, expected: tuple[str, int]):
    assert address(text) == expected


@pytest.mark.parametrize("text", ["", "2526", ":2526", "localhost", "localhost:", "localhost:smtp", "localhost:65536"])
def test_other_texts_are_no_addresses(text: str):
    with pytest.raises(typer.BadParameter, match="write host:port"):
        address(text)


async def test_practice_listens_on_loopback_only():
    result = await run("practice", "--listen", "0.0.0.0:0")
    assert result.exit_code == 1
    assert "'0.0.0.0' is not loopback" in result.output
    assert "--listen" in result.output


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM to send there")
async def test_practice_runs_until_it_is_stopped():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "relay", "practice", "--listen", "127.0.0.1:0", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    words = (await process.stdout.readline()).decode().split()
    host, _, port = words[5].rstrip(";").partition(":")
    scenario = find("user-unknown@qmail.example", {Phase.RCPT})
    assert scenario
    shown = []
    verdicts = await asyncio.to_thread(lambda: tuple(attempts((host, int(port)), scenario, lambda *_: shown.append(_))))
    assert verdicts == (Verdict("RCPT", 550),)
    process.send_signal(signal.SIGTERM)
    rest = (await process.stdout.read()).decode()
    assert await process.wait() == 0
    assert "rcpt: user-unknown@qmail.example -> 550 sorry, no mailbox here by that name. (#5.1.1)" in rest
    assert rest.splitlines()[-1] == "Stopped. Messages accepted and discarded: 0."
