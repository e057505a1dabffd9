"""Secrets: whatever is logged in with, rightly or wrongly, is nowhere in the log, the errors, or the process list."""

from __future__ import annotations

from pathlib import Path

import pytest
from running_client import Client
from secret_search import MARK, encoded, forms, found_in, left_by


def assert_nowhere(relay) -> None:
    places = left_by(relay)
    assert places["stderr"] or places["log"]
    assert found_in(places) == []


def try_all_logins(client: Client, kind: str) -> None:
    """Every mechanism, and what people do by mistake: a mechanism nobody has, secrets where commands belong."""
    for line in (
        f"AUTH PLAIN {encoded(f'{chr(0)}anna{chr(0)}{kind}{MARK}')}",
        f"AUTH XOAUTH2 {encoded(f'user=anna{chr(1)}auth=Bearer {kind}{MARK}{chr(1)}{chr(1)}')}",
        f"AUTH SCRAM-SHA-256 {encoded(f'n,,n=anna,r={MARK}')}",
        f"AUTH NONSENSE {encoded(MARK)}",
        f"AUTH GSSAPI {encoded(MARK)}",
        f"AUTH SCRAM-SHA-256-PLUS {encoded(MARK)}",
        f"AUTH {MARK}",
        f"AUTH PLAIN anna:{MARK}!",
        f"AUTHPLAIN {encoded(MARK)}",
        encoded(MARK),
        MARK,
        f"HELP {MARK}",
        f"PASS {MARK}",
        f"RCPT {MARK}",
        f"MAIL {MARK}",
    ):
        client.ask(line)
    assert client.ask("AUTH LOGIN").code in (334, 503)


def finish_login(client: Client, password: str) -> int:
    assert client.ask(encoded("anna")).code == 334
    return client.ask(password).code


@pytest.mark.parametrize("user", ["a", "an", "ann"])
def test_the_search_itself_finds_a_secret_wherever_base64_puts_it(user):
    octets = encoded(f"\0{user}\0{MARK}!").encode().lower()
    assert sum(form in octets for form in forms(MARK)) == 1


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("to_file", [True, False], ids=["file", "stderr"])
def test_secrets_of_clients(start, upstream, tmp_path, log_format, to_file):
    log = {"format": log_format, **({"file": str(tmp_path / "relay.log")} if to_file else {})}
    relay = start({"log": log, "limits": {"errors": 1000, "login_failures": 1000}})
    upstream.conduct.refuses_logins = True
    with Client(relay.addresses[0]) as client:
        client.greet()
        try_all_logins(client, "wrong")
        assert finish_login(client, encoded(MARK)) == 535
        assert client.ask("AUTH LOGIN").code == 334
        finish_login(client, f"not base64 {MARK}!")
        upstream.conduct.refuses_logins = False
        assert client.ask("AUTH LOGIN").code == 334
        assert finish_login(client, encoded(MARK)) == 235
        client.ask(encoded(MARK))
        assert client.send_mail().code == 250
    with Client(relay.addresses[0]) as client:
        client.greet()
        assert client.ask(f"AUTH PLAIN {encoded(f'{chr(0)}anna{chr(0)}{MARK}')}").code == 235
        assert client.send_mail().code == 250
    relay.process.terminate()
    assert relay.process.wait(5) == 0  # the log is written to its end
    assert "anna" in (relay.log if to_file else relay.stderr).read_text()
    assert any(encoded(MARK).encode() in line for line in upstream.conduct.lines)
    assert_nowhere(relay)


@pytest.mark.parametrize("mechanism", ["plain", "login", "xoauth2"])
@pytest.mark.parametrize("refused", [True, False], ids=["refused", "accepted"])
def test_the_relays_own_secret(start, upstream, tmp_path, mechanism, refused):
    upstream.conduct.refuses_logins = refused
    (tmp_path / "password").write_text(MARK + "\n")
    own = {"user": "relay", "password_file": str(tmp_path / "password"), "login_mechanism": mechanism}
    relay = start({"upstream": {"url": upstream.url, **own}})
    with Client(relay.addresses[0]) as client:
        client.greet()
        answer = client.ask("MAIL FROM:<me@here.example>")
        assert (answer.code == 250) is not refused, answer
        assert MARK not in answer.text
        assert encoded(MARK) not in answer.text
    assert MARK.encode() not in Path(f"/proc/{relay.process.pid}/cmdline").read_bytes()
    relay.process.terminate()
    assert relay.process.wait(5) == 0
    assert upstream.conduct.heard(b"AUTH")
    assert_nowhere(relay)
