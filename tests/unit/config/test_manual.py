"""config/relay.yaml is the manual: it must name every setting, no other, and each with its true default."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from relay.config import Flags, Listener, Settings, load
from relay.config.keys import KEYS
from relay.config.places import shipped

if TYPE_CHECKING:
    from pathlib import Path


def manual() -> str:
    return (shipped() / "relay.yaml").read_text("utf-8")


def uncommented(text: str) -> str:
    """A # directly before a key, or before the dash or the two spaces of a list item, hides a setting."""
    return re.sub(r"^( *)#(?=(- |  )?[a-z_]+:)", r"\1", text, flags=re.MULTILINE)


def leaves(tree: dict[str, Any], above: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for key, value in tree.items():
        found |= leaves(value, (*above, key)) if isinstance(value, dict) else {(*above, key)}
    return found


def test_the_manual_as_shipped_changes_nothing(tmp_path: Path):
    (tmp_path / "relay.yaml").write_text(manual())
    assert load(tmp_path / "relay.yaml", Flags(practice=True), {}) == Settings()


def test_the_manual_uncommented_equals_the_defaults(tmp_path: Path):
    (tmp_path / "relay.yaml").write_text(uncommented(manual()))
    assert load(tmp_path / "relay.yaml", Flags(practice=True), {}) == Settings()


def test_the_manual_names_every_setting_and_no_other():
    assert leaves(yaml.safe_load(uncommented(manual()))) == set(KEYS)


def test_the_manual_names_every_key_of_a_listener():
    (listener,) = yaml.safe_load(uncommented(manual()))["listen"]
    assert set(listener) == set(Listener.model_fields)


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_a_default_that_is_a_value_is_written_out(key: tuple[str, ...]):
    """Equality alone would not notice a default that is merely left out."""
    default: Any = Settings()
    written: Any = yaml.safe_load(uncommented(manual()))
    for part in key:
        default, written = getattr(default, part, None), written[part]
    derived = {("hostname",)}  # the machine's own
    assert (written is None) == (default is None or key in derived)
