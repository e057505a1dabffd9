"""The scenarios are data that people edit: each must be a reply that a server may give, and be found by its name."""

from __future__ import annotations

import re
from itertools import groupby

import pytest

from relay.explain.reason import Reason
from relay.practice.scenario import DOMAINS, Behaviour, Scenario
from relay.practice.scenarios import all_scenarios, find
from relay.smtp import Phase

WELL_BEHAVED = tuple(each for each in all_scenarios() if each.lines and each.provider != "a broken server")


def test_there_are_many_from_many_providers():
    assert len(all_scenarios()) >= 60
    assert {each.provider for each in all_scenarios()} == set(DOMAINS)


def test_every_reason_that_a_live_session_can_meet_can_be_practised():
    assert {each.reason for each in all_scenarios()} == set(Reason) - {Reason.EXPIRED}


def test_a_name_belongs_to_one_phase_and_an_address_to_one_scenario():
    phases = {(each.name, each.phase) for each in all_scenarios()}
    assert len(phases) == len({name for name, _ in phases})
    assert len({each.address for each in all_scenarios()}) == len(all_scenarios())


@pytest.mark.parametrize("scenario", all_scenarios(), ids=lambda each: each.address)
def test_names_can_be_typed_and_notes_are_one_sentence(scenario: Scenario):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", scenario.name)
    assert scenario.domain.endswith(".example")
    assert scenario.note.endswith(".")
    assert ". " not in scenario.note


@pytest.mark.parametrize("scenario", WELL_BEHAVED, ids=lambda each: each.address)
def test_replies_are_well_formed(scenario: Scenario):
    wire = scenario.reply(recipient="bob@a.example", sender="alice@b.example", domain="a.example", user="u", helo="h")
    *firsts, last = wire.split(b"\r\n")
    code = last[:3]
    assert re.fullmatch(rb"[45]\d\d", code)
    assert last[3:4] == b" "
    assert all(line[:4] == code + b"-" for line in firsts)
    assert max(len(line) for line in (*firsts, last)) <= 510
    assert re.fullmatch(rb"[\x20-\x7e\r\n]*", wire)
    assert b"{" not in wire
    assert scenario.code == int(code)


def test_every_scenario_without_lines_says_what_to_expect():
    silent = tuple(each for each in all_scenarios() if not each.lines)
    assert {each.behaviour for each in silent} == {Behaviour.SLOW, Behaviour.SILENT, Behaviour.DROP}
    assert all(each.expect for each in silent)


@pytest.mark.parametrize("scenario", all_scenarios(), ids=lambda each: each.address)
def test_each_is_found_by_its_address_in_any_case(scenario: Scenario):
    assert find(scenario.address.upper()) is scenario
    assert find(scenario.address, {scenario.phase}) is scenario
    assert find(scenario.address, set(Phase) - {scenario.phase}) is None


def test_any_other_domain_and_none_mean_the_first_of_the_name():
    for name, group in groupby(all_scenarios(), key=lambda each: each.name):
        first = next(group)
        assert find(name) is find(f"{name}@elsewhere.test") is first


@pytest.mark.parametrize("address", ["", "@", "bob@gmail.example", "mailbox-full-not@gmail.example", "gmail.example"])
def test_other_addresses_name_no_scenario(address: str):
    assert find(address) is None
