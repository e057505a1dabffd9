"""No secret is shown: not by repr, str, dumps or errors, wherever an operator may have put it."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from relay.config import Flags, Settings, SettingsError, gather, load, upstream_url

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "S3CRET"


def told(error: BaseException) -> str:
    """All that a traceback, a log or a debugger would print of an error."""
    return "".join([*traceback.format_exception(error), repr(error), str(error), repr(vars(error))])


@pytest.mark.parametrize(
    "flags",
    [
        Flags(upstream=f"smtp://anna:{SECRET}@mail.example.com"),
        Flags(upstream=f"smtp://anna:p%40{SECRET}%2F@mail.example.com"),
        Flags(set=("upstream.url=smtp://mail.example.com", "upstream.user=anna", f"upstream.password={SECRET}")),
    ],
)
def test_settings_never_show_a_password(flags: Flags):
    gathered = gather(None, flags, {})
    settings = gathered.settings()
    assert settings.upstream.login
    assert SECRET in settings.upstream.login.password.get_secret_value()
    shown = (
        flags,
        gathered,
        gathered.given,
        settings,
        settings.model_dump(),
        settings.upstream.login,
        settings.upstream.url,
    )
    for value in shown:
        assert SECRET not in repr(value)
        assert SECRET not in str(value)


def test_the_database_and_the_key_of_the_spool_are_never_shown():
    key = "S3CRETS3CRETS3CRETS3CRETS3CRETS3CRETS3CRET0="
    flags = Flags(
        set=(f"database.url=postgresql://anna:{SECRET}@db/mail", f"retry.spool.key={key}"),
        upstream="smtp://mail.example.com",
    )
    settings = gather(None, flags, {}).settings()
    assert settings.database.url.password.get_secret_value() == SECRET
    assert settings.retry.spool.key.get_secret_value() == key
    for value in (flags, settings, settings.model_dump(), settings.database.url):
        assert SECRET not in repr(value) + str(value)


@pytest.mark.parametrize("url", [f"mysql://anna:{SECRET}@db/mail", f"postgresql://anna:{SECRET}@db", f"{SECRET}"])
def test_a_wrong_database_url_is_not_shown(url: str):
    flags = Flags(set=(f"database.url={url}",), upstream="smtp://mail.example.com")
    with pytest.raises(SettingsError) as refused:
        gather(None, flags, {}).settings()
    assert SECRET not in told(refused.value)


WRONG_URLS = (
    f"http://anna:{SECRET}@mail.example.com",
    f"smtp://anna:{SECRET}@",
    f"smtp://anna:{SECRET}@mail.example.com:smtp",
    f"smtp://anna:{SECRET}@mail.example.com:99999",
    f"smtp://anna:%{SECRET}@mail.example.com",
    f"smtp://:{SECRET}@mail.example.com",
    f"smtp://anna:a@b/{SECRET}@mail.example.com/path",
    f"smtp://anna:{SECRET}\\n@mail.example.com",
)
NOT_EVEN_URLS = (
    f"anna:{SECRET}@mail.example.com",
    f"smtp://anna:{SECRET}",
    f"smtp://mail.example.com?password={SECRET}",
    f"smtp://[{SECRET}]:25",
    SECRET,
)


def refusal(folder: Path, text: str) -> str:
    (folder / "relay.yaml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(folder / "relay.yaml", Flags(practice=True), {})
    return told(caught.value)


@pytest.mark.parametrize("url", [*WRONG_URLS, *NOT_EVEN_URLS])
@pytest.mark.parametrize("key", ["url", "pasword"])
def test_no_error_about_the_upstream_shows_a_password(tmp_path: Path, key: str, url: str):
    assert SECRET not in refusal(tmp_path, f'upstream:\n  {key}: "{url}"\n')


@pytest.mark.parametrize("url", WRONG_URLS)
@pytest.mark.parametrize("key", ["upstream", "listen", "limits", "book"])
def test_no_error_shows_the_password_of_a_url_in_a_wrong_place(tmp_path: Path, key: str, url: str):
    assert SECRET not in refusal(tmp_path, f'{key}: "{url}"\n')


@pytest.mark.parametrize(
    "text", ["*S3CRET", "!S3CRET x", "@S3CRET", "'S3CRET", "a: S3CRET", "%S3CRET", "`S3CRET", "&S3CRET"]
)
def test_no_error_of_yaml_shows_a_password(tmp_path: Path, text: str):
    assert SECRET not in refusal(tmp_path, f"upstream:\n  user: anna\n  password: {text}\n")


def test_models_that_are_built_directly_do_not_show_it_either():
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"upstream": {"url": "http://anna:S3CRET@mail.example.com", "password": "S3CRET\n"}})
    assert SECRET not in str(caught.value)


@given(st.text(min_size=1), st.text(min_size=1), st.sampled_from(["smtp", "smtps", "http", "x"]))
def test_whatever_the_url_its_error_does_not_repeat_the_password(user: str, rest: str, scheme: str):
    try:
        url = upstream_url(f"{scheme}://{user}:{SECRET}@{rest}")
    except PydanticCustomError as error:
        shown = str(error)
    else:
        shown = repr(url) + str(url)
    assert SECRET not in shown
