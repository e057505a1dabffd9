"""YAML as plain values, with its mistakes named by their lines. Home of yaml."""

from __future__ import annotations

from typing import Any

import yaml

# All but the first come out of PyYAML where a scalar looks like a date or a number and is none, such as 2024-13-45.
_UNREADABLE = (yaml.YAMLError, ValueError, KeyError, AttributeError, RecursionError)


def parsed(name: str, text: str) -> tuple[Any, tuple[str, ...]]:
    """The YAML of a file as plain values, None where it holds none, and why it cannot be read."""
    try:
        return yaml.load(text, Loader=yaml.CSafeLoader), ()
    except _UNREADABLE as error:
        return None, (_syntax(name, error),)


def line_of(text: str, index: int, key: str) -> int:
    """The line of a key; the file is parsed again for it, because keeping every position would slow every start."""
    node: Any = yaml.compose(text, Loader=yaml.CSafeLoader)
    node = node.value[index]
    for step in filter(None, key.split(".")):
        if not isinstance(node, yaml.MappingNode):
            break
        found = next(((name, value) for name, value in node.value if name.value == step), None)
        if found is None:
            break
        line, node = found[0].start_mark.line, found[1]
        if step == key.rpartition(".")[2]:
            return int(line) + 1
    return int(node.start_mark.line) + 1


def _syntax(name: str, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else 1
    return f"{name}:{line}: not valid YAML: {getattr(error, 'problem', None) or error}"
