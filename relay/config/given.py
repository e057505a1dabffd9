"""What the operator gave, as text, with the place each value came from; and how one source lies over another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relay.config.problem import Key


@dataclass(frozen=True, slots=True)
class Given:
    """One value, and where it was given."""

    value: str | Mapping[str, Given] | tuple[Given, ...] = field(repr=False)  # may be a secret
    place: str

    def plain(self) -> Any:
        """The value without its places, as the models read it."""
        if isinstance(self.value, Mapping):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, tuple):
            return [child.plain() for child in self.value]
        return self.value

    @property
    def is_section(self) -> bool:
        """Whether this is a mapping of keys."""
        return isinstance(self.value, Mapping)

    def children(self) -> dict[str, Given]:
        """The keys of a mapping; none where this is something else."""
        return dict(self.value) if isinstance(self.value, Mapping) else {}

    def get(self, key: str) -> Given | None:
        """What was given for a key, if this is a mapping that has it."""
        return self.value.get(key) if isinstance(self.value, Mapping) else None

    def find(self, key: Key) -> Given | None:
        """What was given for a setting, if it was."""
        here: Given | None = self
        for part in key:
            here = here.child(part) if here else None
        return here

    def child(self, part: str | int) -> Given | None:
        """One step down: by key into a mapping, by index into a list."""
        if isinstance(part, str):
            return self.get(part)
        return self.value[part] if isinstance(self.value, tuple) and part < len(self.value) else None

    def place_of(self, key: Key) -> str:
        """Where a setting was given, or the section it is missing in."""
        here = self
        for part in key:
            found = here.child(part)
            if found is None:
                break
            here = found
        return here.place

    def under(self, above: Given) -> Given:
        """This, with another source on top: sections are joined key by key, anything else is replaced."""
        if not isinstance(self.value, Mapping) or not isinstance(above.value, Mapping):
            return above
        joined = dict(self.value)
        for key, child in above.value.items():
            joined[key] = joined[key].under(child) if key in joined else child
        return Given(joined, self.place)


def nested(key: Key, leaf: Given) -> Given:
    """A value wrapped in the sections that lead to its setting."""
    for part in reversed(key):
        leaf = Given({str(part): leaf}, leaf.place)
    return leaf
