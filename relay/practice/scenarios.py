"""All scenarios, read once from `replies/`: a file for each phase, a few lines for each refusal."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from relay.practice.scenario import Behaviour, Scenario
from relay.smtp import Phase

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# libyaml's loader is ten times as fast; without it the other one reads the same
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def all_scenarios() -> tuple[Scenario, ...]:
    """Every scenario, in the order of the dialogue and then of the file."""
    return tuple(_scenario(phase, entry) for phase in Phase for entry in _entries(phase))


def find(address: str, phases: Collection[Phase] = frozenset(Phase)) -> Scenario | None:
    """The scenario that an address (or a user name) asks for, or None.

    Args:
        address: `name@domain of the provider`, or `name` with any other domain or none; case does not matter.
        phases: the steps that this address may choose.
    """
    key = address.lower()
    name, at, _ = key.rpartition("@")
    scenario = _index().by_address.get(key) or _index().by_name.get(name if at else key)
    return scenario if scenario and scenario.phase in phases else None


@dataclass(frozen=True, slots=True)
class _Index:
    by_address: Mapping[str, Scenario]
    by_name: Mapping[str, Scenario]


@cache
def _index() -> _Index:
    every = all_scenarios()
    # reversed, because the first of a name is the one that answers for all other domains
    return _Index({each.address: each for each in every}, {each.name: each for each in reversed(every)})


def _entries(phase: Phase) -> list[dict[str, Any]]:
    file = files("relay.practice") / "replies" / f"{phase}.yaml"
    if not file.is_file():
        return []  # nothing is practised at this step
    entries: list[dict[str, Any]] = yaml.load(file.read_bytes(), Loader=_LOADER)  # noqa: S506 - both loaders are safe ones
    return entries


def _scenario(phase: Phase, entry: dict[str, Any]) -> Scenario:
    reply = tuple(entry.pop("reply", "").splitlines())
    behaviour = Behaviour(entry.pop("behaviour", "reply"))
    return Scenario(phase=phase, lines=reply, behaviour=behaviour, **entry)
