"""The names of all settings, taken from the models: for the environment, for flags, and for "did you mean"."""

from collections.abc import Iterator
from typing import Any, get_args

from relay.config.kinds import Section
from relay.config.problem import Key, did_you_mean
from relay.config.settings import Settings

# Never shown; each can come from a file: KEY_file.
SECRETS = (("upstream", "url"), ("upstream", "password"), ("database", "url"), ("retry", "spool", "key"))


def _section(annotation: Any) -> type[Section] | None:
    """The model behind a field: of the field itself, or of the items of its list."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(_section, get_args(annotation))), None)


def is_list(key: Key) -> bool:
    """Whether a setting holds a list, so that its text is read as YAML."""
    model: type[Section] | None = Settings
    annotation: Any = None
    for part in key:
        field = model.model_fields.get(str(part)) if model else None
        annotation = field.annotation if field else None
        model = _section(annotation)
    return getattr(annotation, "__origin__", None) is tuple


def _keys(model: type[Section], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        section = None if getattr(field.annotation, "__origin__", None) is tuple else _section(field.annotation)
        yield from _keys(section, (*above, name)) if section else ((*above, name),)


KEYS = (*_keys(Settings), *((*key[:-1], f"{key[-1]}_file") for key in SECRETS))
VARIABLES = {"RELAY_" + "__".join(key).upper(): key for key in KEYS}


def siblings(key: Key) -> tuple[str, ...]:
    """The names that are right in the section a setting is in."""
    model: type[Section] | None = Settings
    for part in key[:-1]:
        if isinstance(part, str) and model:
            field = model.model_fields.get(part)
            model = _section(field.annotation) if field else None
    above = tuple(part for part in key[:-1] if isinstance(part, str))
    files = (name[-1] for name in KEYS if name[:-1] == above and name[-1].endswith("_file"))
    return (*(model.model_fields if model else ()), *files)


def cure_for_unknown(key: Key) -> str:
    """The nearest right name in the same section, or the section that has exactly this name."""
    name = str(key[-1])
    elsewhere = (".".join(known) for known in KEYS if known[-1] == name)
    return (
        did_you_mean(name, siblings(key))
        or next((f"did you mean {known}?" for known in elsewhere), "")
        or "known here: " + ", ".join(siblings(key))
    )


def shown(key: Key) -> str:
    """A key as people write it: listen[0].address, counted from 0."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return words.removeprefix(".")
