"""Every fuzz target over its kept inputs and over a few hundred that are made of them; `make fuzz` tries millions."""

from __future__ import annotations

import os

import pytest
from fuzz_targets import CORPUS, TARGETS, seeds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "400"))
_LONG = "FUZZ_EXAMPLES" in os.environ  # the ordinary run tries the same each time
_SLOW = ("commands", "proxy_header", "settings")  # a relay, or a file, for each input
_JUNK = st.one_of(
    st.binary(max_size=6),
    st.sampled_from([b"\r\n", b"\n", b"\r", b".", b"\0", b"<", b">", b'"', b"\\", b":", b"- ", b"{", b"250 ", b"\xff"]),
)


@st.composite
def _inputs(draw: st.DrawFn, kept: list[bytes]) -> bytes:
    """A kept input, or the head of one before the tail of another, pieces of it cut out, doubled, replaced."""
    octets = draw(st.sampled_from(kept))
    if draw(st.booleans()):
        other = draw(st.sampled_from(kept))
        octets = octets[: draw(st.integers(0, len(octets)))] + other[draw(st.integers(0, len(other))) :]
    for _ in range(draw(st.integers(0, 3))):
        begin = draw(st.integers(0, len(octets)))
        end = draw(st.integers(begin, min(len(octets), begin + 12)))
        between = draw(st.one_of(_JUNK, st.just(octets[begin:end] * 2)))
        octets = octets[:begin] + between + octets[end:]
    return octets


def _sample(name: str, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, derandomize=not _LONG, suppress_health_check=list(HealthCheck))
    @given(octets=_inputs(seeds(name)))
    def tried(octets: bytes) -> None:
        TARGETS[name](octets)

    tried()


@pytest.mark.parametrize(
    "kept", [f"{name}/{file.name}" for name in TARGETS for file in sorted((CORPUS / name).iterdir())]
)
def test_a_kept_input(kept: str):
    TARGETS[kept.partition("/")[0]]((CORPUS / kept).read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_made_of_the_kept_ones(name: str):
    _sample(name, _EXAMPLES // 3 if name in _SLOW else _EXAMPLES)
