"""The kinds of value a setting may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic_core import PydanticCustomError

from relay.config import Flags, SettingsError, load
from relay.config.kinds import boolean, domain_or_address, file, file_or_folder, file_to_write, octets, seconds
from relay.config.problem import nearest, quoted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("26214400", 26214400),
        (512, 512),
        ("25 MB", 25_000_000),
        ("100MiB", 104_857_600),
        ("1.5 kib", 1536),
        ("2gb", 2 * 10**9),
    ],
)
def test_sizes(text: str, size: int):
    assert octets(text) == size


@pytest.mark.parametrize("text", ["0", "-1", "25 megabytes", "25M", "", "MB", "1e6", "0.1 B", "9" * 400 + " MB"])
def test_what_is_no_size(text: str):
    with pytest.raises(PydanticCustomError, match="100 MiB"):
        octets(text)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "30s", "", True, None])
def test_what_is_no_time(text: object):
    with pytest.raises(PydanticCustomError, match="seconds"):
        seconds(text)


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("Off", False), (True, True), ("false", False)])
def test_switches(text: object, value: bool):
    assert boolean(text) is value


@pytest.mark.parametrize(
    "name", ["relay.example.com", "localhost", "a_b", "[192.0.2.1]", "[IPv6:2001:db8::1]", "xn--mil-qla.de"]
)
def test_names_for_ehlo(name: str):
    assert domain_or_address(name) == name


@pytest.mark.parametrize(
    "name", ["", "my relay", "-x", "mäil", "[mail]", "[]", "a..b", "a\nb", "x" * 64, ("a" * 60 + ".") * 5]
)
def test_what_is_no_name_for_ehlo(name: str):
    with pytest.raises(PydanticCustomError, match="host name"):
        domain_or_address(name)


def test_the_nearest_name():
    assert nearest("conections", ("errors", "connections")) == "connections"
    assert nearest("zzz", ("errors", "connections")) == ""


def test_a_value_is_shown_without_control_characters_and_not_endlessly():
    assert quoted("a\x1b[31m\nb") == '"a?[31m?b"'
    assert len(quoted("x" * 1000)) < 100
    assert quoted("smtp://anna:pass@word@host") == '"smtp://***@host"'


@pytest.fixture
def nobodys_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])


@pytest.fixture
def folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()


@pytest.mark.parametrize("read", [file, file_or_folder, file_to_write])
@pytest.mark.usefixtures("nobodys_home")
def test_a_home_that_there_is_not(read: Callable[[object], Path]):
    with pytest.raises(PydanticCustomError) as caught:
        read("~/relay.log")
    assert cures(caught.value) == ["there is no home folder that ~ stands for: write the whole path"]


@pytest.mark.parametrize("read", [file, file_or_folder, file_to_write])
@pytest.mark.usefixtures("folder_that_is_gone")
def test_a_relative_path_where_the_working_folder_is_gone(read: Callable[[object], Path], tmp_path: Path):
    with pytest.raises(PydanticCustomError) as caught:
        read("relay.log")
    assert cures(caught.value) == [
        "the folder the relay was started in is gone: write the whole path, or start it in another"
    ]
    (tmp_path / "relay.log").touch()
    assert read(str(tmp_path / "relay.log")) == tmp_path / "relay.log"


@pytest.mark.parametrize(("fixture", "words"), [("nobodys_home", "no home folder"), ("folder_that_is_gone", "is gone")])
def test_a_secret_in_a_file_that_cannot_be_found(fixture: str, words: str, request: pytest.FixtureRequest):
    request.getfixturevalue(fixture)
    path = "~/secret" if fixture == "nobodys_home" else "secret"
    with pytest.raises(SettingsError, match=words):
        load(None, Flags(practice=True), {"RELAY_UPSTREAM__PASSWORD_FILE": path, "RELAY_UPSTREAM__USER": "anna"})


def cures(error: PydanticCustomError) -> list[str]:
    assert error.context
    return [complaint.cure for complaint in error.context["complaints"]]
