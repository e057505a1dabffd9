"""The kinds of value a setting may hold: each is read from text or from Python's own value, and says what it expected.

YAML's guesses (off is False, 0123 is 83, 12:30 is 750) take no part: the loader hands over text, and the kind decides.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, SecretStr
from pydantic_core import CoreSchema, core_schema

from relay.config.problem import did_you_mean, expected

_T = TypeVar("_T")
_Choice = TypeVar("_Choice", bound=StrEnum)

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]i?B|B)?", re.IGNORECASE)
_MOST_OCTETS = 1e18
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class Section(BaseModel):
    """A group of settings: frozen, no unknown keys, and no value in the words of its errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


@dataclass(frozen=True, slots=True)
class Reads:
    """In an annotation: the function that reads and checks the value. It is all there is; pydantic adds nothing."""

    function: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.function)


def text(value: Any) -> str:
    """Text in one line."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise expected("text in one line")
    return value.strip()


def secret(value: Any) -> SecretStr:
    """A password or token; it is never shown."""
    words = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(words, str) or not words or not words.isprintable():
        raise expected("a password in one line, not empty, without control characters")
    return SecretStr(words)


def host_name(value: Any) -> str:
    """The name of a host, in ASCII."""
    if not isinstance(value, str) or not _HOST.fullmatch(value) or len(value) > 255:
        raise expected("a host name, such as mail.example.com", "names outside ASCII are written in their xn-- form")
    return value


def domain_or_address(value: Any) -> str:
    """A host name, or an address in brackets: [192.0.2.1], [IPv6:2001:db8::1] (RFC 5321 section 4.1.3)."""
    bare = value[1:-1].removeprefix("IPv6:") if isinstance(value, str) and value[:1] + value[-1:] == "[]" else ""
    return value if bare and is_address(bare) else host_name(value)


def is_address(value: str) -> bool:
    """Whether this is an IP address rather than a name."""
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def address(value: Any) -> str:
    """An IP address."""
    if not isinstance(value, str) or not is_address(value):
        raise expected("an IP address, such as 192.0.2.1 or 2001:db8::1")
    return value


def seconds(value: Any) -> float:
    """A time in seconds, more than 0."""
    number = _number(value, float)
    if number is None or not isfinite(number) or number <= 0:
        raise expected("a number of seconds, more than 0", "write it without a unit, such as 30 or 0.5")
    return number


def whole(minimum: int) -> Reads:
    """A whole number that is not below the minimum."""

    def read(value: Any) -> int:
        number = _number(value, int)
        if number is None or number < minimum:
            raise expected(f"a whole number, at least {minimum}")
        return number

    return Reads(read)


def _number(value: Any, kind: Callable[[Any], _T]) -> _T | None:
    if isinstance(value, bool):
        return None
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        return None


def octets(value: Any) -> int:
    """A size in octets; MB is 1,000,000 and MiB 1,048,576 of them."""
    found = _SIZE.fullmatch(str(value).strip())
    size = float(found[1]) * _UNITS[(found[2] or "").upper()] if found else 0.0
    if not 1 <= size < _MOST_OCTETS:
        raise expected("a size above 0, such as 26214400, 25 MB or 100 MiB")
    return int(size)


def boolean(value: Any) -> bool:
    """True or false."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in _TRUTH:
        raise expected("true or false")
    return _TRUTH[value.lower()]


def one_of(kind: type[_Choice]) -> Callable[[Any], _Choice]:
    """One of the words of an enumeration."""
    words = [str(member) for member in kind]

    def read(value: Any) -> _Choice:
        if value not in words:
            raise expected("one of " + ", ".join(words), did_you_mean(str(value), words))
        return kind(value)

    return read


def choice(kind: type[_Choice]) -> Reads:
    """One of the words of an enumeration, in an annotation."""
    return Reads(one_of(kind))


def maybe(read: Callable[[Any], _T]) -> Reads:
    """The same kind of value, or none."""
    return Reads(lambda value: None if value is None else read(value))


def file(value: Any) -> Path:
    """A file that exists and can be read by the account the relay runs as."""
    words = "a file that the relay can read"
    path = _path(value, words)
    if not seen(path.is_file) or not os.access(path, os.R_OK):
        raise expected(words, trouble_with(path))
    return path


def file_or_folder(value: Any) -> Path:
    """A file or folder that exists and can be read."""
    words = "a file or folder that the relay can read"
    path = _path(value, words)
    if not seen(path.exists) or not os.access(path, os.R_OK):
        raise expected(words, trouble_with(path))
    return path


def file_to_write(value: Any) -> Path:
    """A file that can be written to, or made, by the account the relay runs as."""
    words = "a file that the relay can write"
    path = _path(value, words)
    full = path.absolute()
    if seen(path.is_dir):
        raise expected("a file, not a folder", f"name a file inside it, such as {full / 'relay.log'}")
    if not seen(full.parent.is_dir):
        raise expected("a file in a folder that exists", _barred(full.parent) or f"make the folder {full.parent}")
    if barred := _barred(full):
        raise expected(words, barred)
    target = full if seen(path.exists) else full.parent
    if not os.access(target, os.W_OK):
        raise expected(words, f"let the account the relay runs as write to {target}")
    return path


def _path(value: Any, words: str) -> Path:
    path = value if isinstance(value, Path) else Path(text(value))
    if trouble := leads_nowhere(path):
        raise expected(words, trouble)
    return path.expanduser()


def leads_nowhere(path: Path) -> str:
    """Why nobody can tell where a path begins, or ""."""
    try:
        path.expanduser().absolute()
    except RuntimeError:
        return f"there is no home folder that {path.parts[0]} stands for: write the whole path"
    except OSError:
        return "the folder the relay was started in is gone: write the whole path, or start it in another"
    return ""


def seen(look: Callable[[], bool]) -> bool:
    """What the system tells of a path; no where it cannot tell, as it may not look into a folder on the way."""
    try:
        return look()
    except OSError:
        return False


def _barred(path: Path) -> str:
    """Why the system cannot even tell whether something is there, or ""."""
    try:
        path.stat()
    except PermissionError:
        return f"the account the relay runs as may not look into a folder above {path}: change its owner or mode"
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return f"{path}: {error.strerror}"
    except ValueError:  # it holds a NUL
        return "no file can have such a name"
    return ""


def trouble_with(path: Path) -> str:
    """Why a file cannot be read, with its full path."""
    if trouble := leads_nowhere(path):
        return trouble
    full = path.absolute()
    if barred := _barred(full):
        return barred
    if path.is_dir():
        return f"{full} is a folder"
    if path.exists():
        return f"{full} exists, but the account the relay runs as may not read it: change its owner or mode"
    relative = "" if path.is_absolute() else "; a relative path starts at the folder the relay was started in"
    return f"{full} does not exist{relative}"


Text = Annotated[str, Reads(text)]
HostName = Annotated[str, Reads(domain_or_address)]
Seconds = Annotated[float, Reads(seconds)]
Switch = Annotated[bool, Reads(boolean)]
AnyText = Annotated[str | None, maybe(text)]
AnySeconds = Annotated[float | None, maybe(seconds)]
AnySize = Annotated[int | None, maybe(octets)]
AnyFile = Annotated[Path | None, maybe(file)]
