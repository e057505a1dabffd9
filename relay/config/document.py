"""YAML text to Given values: all scalars stay text, each keeps its line, and a key given twice is a mistake."""

from __future__ import annotations

import re

import yaml

from relay.config.given import Given
from relay.config.problem import Problem

_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first needs libyaml, which every wheel brings
_NULL = "tag:yaml.org,2002:null"
_SHAPE = "YAML: lines of key: value, indented with spaces"
_DEEPEST = 8  # the settings are 4 levels deep; an alias that holds itself is endless


def read_document(text: str, source: str, *, numbered: bool = True) -> tuple[Given, tuple[Problem, ...]]:
    """Read one YAML document.

    Args:
        text: the document.
        source: the file's path, or the name of the variable or flag.
        numbered: whether the places name lines.

    Returns:
        What was given (nothing at all for an empty document), and what is wrong with it.
    """
    reader = _Reader(source, numbered=numbered)
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        reader.problems.append(_broken(error, text, reader))
        return Given({}, source), tuple(reader.problems)
    given = reader.given(root, reader.place(0), 0) if root else None
    return given or Given({}, source), tuple(reader.problems)


class _Reader:
    """Walks the nodes of one document and collects what is wrong."""

    def __init__(self, source: str, *, numbered: bool) -> None:
        self.source = source
        self.numbered = numbered
        self.problems: list[Problem] = []

    def place(self, line: int) -> str:
        return f"{self.source}:{line + 1}" if self.numbered else self.source

    def given(self, node: yaml.Node, place: str, depth: int) -> Given | None:
        """One node; None where it is a null, which counts as not given."""
        if depth > _DEEPEST:
            self.problems.append(
                Problem(place, "", "settings nested less deeply", "an alias inside itself, or the like")
            )
            return None
        if not node.tag.startswith("tag:yaml.org,2002:"):
            cure = "put text that begins with an exclamation mark into quotes"
            self.problems.append(Problem(place, "", "a plain value", "a YAML tag (a word that begins with !)", cure))
        if isinstance(node, yaml.MappingNode):
            return Given(self._mapping(node, depth), place)
        if isinstance(node, yaml.SequenceNode):
            items = (self.given(item, self.place(item.start_mark.line), depth + 1) for item in node.value)
            return Given(tuple(item or Given("", place) for item in items), place)
        return None if node.tag == _NULL else Given(str(node.value), place)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Given]:
        given: dict[str, Given] = {}
        first: dict[str, str] = {}
        for key_node, value_node in node.value:
            place = self.place(key_node.start_mark.line)
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            if key in first:
                found = f"it a second time; the first is at {first[key]}"
                self.problems.append(Problem(place, key, "each key only once", found, "keep one of the two"))
                continue
            first[key] = place
            value = self.given(value_node, place, depth + 1)
            if value:
                given[key] = value
        return given


def _broken(error: yaml.YAMLError, text: str, reader: _Reader) -> Problem:
    mark = getattr(error, "problem_mark", None)
    parts = (getattr(error, name, None) for name in ("context", "problem", "reason"))
    words = re.sub("'[^']*'", "...", ", ".join(filter(None, parts)))  # what is quoted may be a part of a password
    place = reader.place(mark.line) if mark else reader.source
    cure = _cure(text.splitlines(), mark.line if mark else 0, numbered=reader.numbered)
    return Problem(place, "", _SHAPE if reader.numbered else "a list, as YAML or JSON", f"not YAML: {words}", cure)


def _cure(lines: list[str], line: int, *, numbered: bool) -> str:
    near = lines[max(0, line - 1) : line + 1]
    if any("\t" in text for text in near):
        return "there is a tab in this line or the one above: use spaces"
    if any("[::" in text for text in near):
        return 'put an IPv6 address with brackets into quotes: "[::1]:2525"'
    if not numbered:
        return "check brackets, colons and quotes; JSON is understood as well"
    return "check this line and the one above: indentation, colons, quotes; quote what holds special characters"
