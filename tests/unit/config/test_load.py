"""Where settings come from, and which source wins."""

from __future__ import annotations

import errno
import re
from functools import reduce
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from relay.config import Flags, ListenerTLS, Settings, SettingsError, gather, load
from relay.config.keys import KEYS, SECRETS, VARIABLES
from relay.config.load import USUAL_PLACES

URL = "smtp://mail.example.com"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PEM = "-----BEGIN CERTIFICATE-----\n"

# For every setting a text that is not its default, and what it must become: str() of the value.
SAMPLES = {
    "listen": ('[{address: "[::1]:0"}]', "[::1]:0"),
    "hostname": ("relay.example.com", "relay.example.com"),
    "upstream.url": ("smtps://[2001:db8::1]", "smtps://[2001:db8::1]:465"),
    "upstream.url_file": ("url", "smtp://file.example.com:587"),
    "upstream.user": ("anna", "anna"),
    "upstream.password": ("0123", "**********"),
    "upstream.password_file": ("password", "**********"),
    "upstream.login_mechanism": ("cram-md5", "cram-md5"),
    "upstream.ehlo_name": ("[192.0.2.1]", "[192.0.2.1]"),
    "upstream.source_address": ("::1", "::1"),
    "upstream.tls.ca_file": ("ca.pem", "ca.pem"),
    "upstream.tls.certificate": (None, ""),  # needs a real pair: test_listener.py
    "upstream.tls.key": (None, ""),
    "upstream.tls.server_name": ("mx.example.com", "mx.example.com"),
    "limits.message_size": ("25 MB", "25000000"),
    "message.bare_newline": ("normalize", "normalize"),
    "reply.style": ("short", "short"),
    "reply.language": ("de", "de"),
    "reply.explain_login_at": ("mail", "mail"),
    "book.house": ("url", "url"),
    "log.format": ("json", "json"),
    "log.file": ("relay.log", "relay.log"),
    "log.mask_addresses": ("on", "True"),
    "log.level": ("warning", "warning"),
    "retry.mode": ("inline", "inline"),
    "retry.memory": ("3 MiB", "3145728"),
    "retry.spool.longest": ("7000", "7000.0"),
    "retry.spool.delay_notice": ("never", "None"),
    "retry.spool.concurrency": ("7", "7"),
    "retry.spool.messages": ("7", "7"),
    "retry.spool.size": ("7 MB", "7000000"),
    "retry.spool.free_disk": ("7 MB", "7000000"),
    "retry.spool.keep_logins": ("encrypted", "encrypted"),
    "retry.spool.key": (KEY, "**********"),
    "retry.spool.key_file": ("key", "**********"),
    "database.url": ("postgresql://anna:p@[::1]:5433/mail", "postgresql://anna:***@[::1]:5433/mail"),
    "database.url_file": ("database", "sqlite:///spool.db"),
    "web.listen": ("[::1]:0", "[::1]:0"),
    "web.hosts": ("[relay.example.com]", "relay.example.com"),
    "workers": ("3", "3"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("url").write_text("smtp://file.example.com\n")
    Path("password").write_text("from the file\r\n")
    Path("key").write_text(KEY)
    Path("database").write_text("sqlite:///spool.db")
    Path("ca.pem").write_text(PEM)
    return tmp_path


def sample(key: tuple[str, ...]) -> tuple[str | None, str]:
    if ".".join(key) in SAMPLES:
        return SAMPLES[".".join(key)]
    return (
        ("7.5", "7.5") if key[0] in ("timeouts", "retry") or key[-1].endswith("seconds") else (str(2**14), str(2**14))
    )


def value_at(settings: Settings, key: tuple[str, ...]) -> str:
    plain = (*key[:-1], key[-1].removesuffix("_file"))
    key = plain if plain in SECRETS else key
    found: Any = reduce(getattr, key, settings)
    return str(getattr(found[0], "address", found[0]) if isinstance(found, tuple) else found)


def surroundings(key: tuple[str, ...]) -> dict[str, str]:
    """What must be set besides for a setting to make sense."""
    also = {} if key[:1] == ("upstream",) and key[-1].startswith("url") else {"RELAY_UPSTREAM__URL": URL}
    if key[-1] == "keep_logins":
        also["RELAY_RETRY__SPOOL__KEY"] = KEY
    if key == ("upstream", "user"):
        also["RELAY_UPSTREAM__PASSWORD"] = "x"
    if key[-1].startswith("password"):
        also["RELAY_UPSTREAM__USER"] = "anna"
    return also | ({"RELAY_UPSTREAM__POOL__IDLE": "20000"} if key[-1] == "warm" else {})


@pytest.mark.parametrize("key", [key for key in KEYS if sample(key)[0]], ids=".".join)
def test_every_setting_can_be_given_in_the_environment(key: tuple[str, ...]):
    (variable,) = (name for name, known in VARIABLES.items() if known == key)
    text, becomes = sample(key)
    assert value_at(load(None, Flags(), {variable: text or ""} | surroundings(key)), key) == becomes


def test_the_variable_of_a_setting_has_two_underscores_between_its_names():
    assert VARIABLES["RELAY_UPSTREAM__TLS__CA_FILE"] == ("upstream", "tls", "ca_file")
    assert VARIABLES["RELAY_LISTEN"] == ("listen",)


def test_flags_override_the_environment_and_that_the_file():
    Path("relay.yaml").write_text(
        f"upstream: {{url: {URL}}}\nlimits: {{connections: 1, errors: 1, recipients: 1}}\nreply: {{style: short}}\n"
    )
    environ = {"RELAY_LIMITS__ERRORS": "2", "RELAY_LIMITS__RECIPIENTS": "2"}
    settings = load(None, Flags(set=("limits.recipients=3", "listen=[{address: 'localhost:1'}]")), environ)
    assert (settings.limits.connections, settings.limits.errors, settings.limits.recipients) == (1, 2, 3)
    assert (settings.reply.style, settings.limits.login_failures) == ("short", 10)
    assert [str(listener.address) for listener in settings.listen] == ["localhost:1"]


def test_a_list_is_replaced_as_a_whole():
    Path("relay.yaml").write_text("listen:\n- address: 127.0.0.1:1\n- address: 127.0.0.1:2\n")
    settings = load(None, Flags(listen=("127.0.0.1:3",), upstream=URL), {})
    assert [str(listener.address) for listener in settings.listen] == ["127.0.0.1:3"]


def test_each_flag_has_its_setting():
    flags = Flags(("127.0.0.1:1", "[::1]:2"), "smtps://mail.example.com", log_format="json", log_file="relay.log")
    settings = load(None, flags, {})
    assert [str(listener.address) for listener in settings.listen] == ["127.0.0.1:1", "[::1]:2"]
    assert (str(settings.upstream.url), settings.log.format, settings.log.file) == (
        "smtps://mail.example.com:465",
        "json",
        Path("relay.log"),
    )


def test_the_file_in_the_working_folder_is_found_and_a_named_one_goes_before_it(folder: Path):
    Path("relay.yaml").write_text("upstream: {url: smtp://here.example.com}\n")
    Path("other.yaml").write_text("upstream: {url: smtp://other.example.com}\n")
    assert load(None, Flags(), {}).upstream.server.host == "here.example.com"
    assert load(Path("other.yaml"), Flags(), {}).upstream.server.host == "other.example.com"
    assert str(folder / "relay.yaml") in gather(None, Flags(), {}).sources
    assert [str(place) for place in USUAL_PLACES] == ["relay.yaml", "/etc/explaining-relay/relay.yaml"]


def test_without_any_source_only_the_upstream_is_missing():
    with pytest.raises(SettingsError) as caught:
        load(None, Flags(), {})
    assert [problem.key for problem in caught.value.problems] == ["upstream.url"]
    assert load(None, Flags(practice=True), {}) == Settings()


def test_a_listener_in_a_variable():
    text = '[{address: "0.0.0.0:2525", allow: [10.0.0.0/8, 2001:db8::1]}]'
    (listener,) = load(None, Flags(upstream=URL), {"RELAY_LISTEN": text}).listen
    assert listener.networks == (ip_network("10.0.0.0/8"), ip_network("2001:db8::1/128"))
    assert listener.tls is ListenerTLS.NONE


@pytest.mark.parametrize("text", ["", "# nothing\n", "upstream:\n", "upstream:\n  tls:\nlimits: ~\n"])
def test_a_key_without_a_value_counts_as_not_set(text: str):
    Path("relay.yaml").write_text(text)
    assert load(None, Flags(practice=True), {}) == Settings()


def test_an_empty_variable_counts_as_not_set():
    environ = {"RELAY_LIMITS__ERRORS": "", "RELAY_NO_SUCH_THING": ""}
    assert load(None, Flags(practice=True), environ) == Settings()


@pytest.mark.parametrize(
    "name",
    [
        "RELAY_PORT",
        "RELAY_SERVICE_HOST",
        "RELAY_SERVICE_PORT_SMTP",
        "RELAY_PORT_2525_TCP_ADDR",
        "RELAY_SMTP_SERVICE_HOST",
    ],
)
def test_what_kubernetes_sets_for_a_service_named_relay_is_left_alone(name: str):
    assert load(None, Flags(practice=True), {name: "tcp://10.0.0.1:2525"}) == Settings()


def test_no_variable_of_ours_looks_like_one_of_kubernetes():
    values = dict.fromkeys(VARIABLES, "x")
    assert set(gather(None, Flags(), values).sources) >= {f"environment variable {name}" for name in VARIABLES}


def test_what_yaml_would_guess_stays_what_was_written():
    Path("relay.yaml").write_text(
        f"upstream: {{url: {URL}, user: 2026-11-23, password: 0123}}\nretry: {{mode: off}}\nhostname: 1e3\n"
    )
    settings = load(None, Flags(), {})
    assert settings.upstream.login
    assert settings.upstream.login.user == "2026-11-23"
    assert settings.upstream.login.password.get_secret_value() == "0123"
    assert (settings.retry.mode, settings.hostname) == ("off", "1e3")


def test_a_higher_source_replaces_the_secret_file_of_a_lower_one():
    Path("relay.yaml").write_text(f"upstream: {{url: {URL}, user: anna, password_file: password}}\n")
    assert secret_of(load(None, Flags(), {})) == "from the file"
    assert (
        secret_of(load(None, Flags(), {"RELAY_UPSTREAM__PASSWORD": "from the environment"})) == "from the environment"
    )
    Path("relay.yaml").write_text(f"upstream: {{url: {URL}, user: anna, password: written}}\n")
    assert secret_of(load(None, Flags(), {"RELAY_UPSTREAM__PASSWORD_FILE": "password"})) == "from the file"


def secret_of(settings: Settings) -> str:
    assert settings.upstream.login
    return settings.upstream.login.password.get_secret_value()


def test_a_file_with_a_byte_order_mark_and_crlf_is_read():
    Path("relay.yaml").write_bytes(b"\xef\xbb\xbfupstream:\r\n  url: smtp://mail.example.com\r\n")
    assert load(None, Flags(), {}).upstream.server.port == 587


def test_a_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch):
    Path("relay.yaml").write_text("")
    Path("ca.pem").chmod(0)
    monkeypatch.setattr("os.access", lambda _path, _mode: False)  # the tests may run as root, who reads everything
    with pytest.raises(SettingsError, match=r"ca\.pem exists, but the account the relay runs as may not read it"):
        load(None, Flags(upstream=URL, set=("upstream.tls.ca_file=ca.pem",)), {})


def test_the_same_settings_in_front_of_another_server():
    settings = load(None, Flags(upstream="smtp://anna:x@mail.example.com", set=("upstream.pool.idle=3",)), {})
    other = settings.with_upstream(load(None, Flags(upstream="smtp+plain://localhost:9"), {}).upstream.server)
    assert other.upstream.login is None
    assert (other.upstream.server.port, other.upstream.pool.idle) == (9, 3)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("upstream.tls.ca_file={}", "may not look into a folder above {}"),
        ("log.file={}", "may not look into a folder above {.parent}"),
    ],
)
def test_a_folder_that_may_not_be_looked_into_is_named(tmp_path, monkeypatch, setting, told):
    locked = tmp_path / "locked" / "a file"

    look = Path.stat

    def refuse(path: Path, **how: Any) -> Any:
        if path.is_relative_to(locked.parent):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return look(path, **how)

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(SettingsError, match=re.escape(told.format(locked))):
        load(None, Flags(upstream=URL, set=(setting.format(locked),)), {})
