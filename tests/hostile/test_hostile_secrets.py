"""Secrets: used and misused in every way, with an upstream that repeats them, and bugs forced; found nowhere."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from pathlib import Path

import pytest
from hostile_client import Attacker
from hostile_upstream import Speaker, Upstream, says
from running_relay import free_port, run_relay, wait_for
from secret_search import MARK, encoded, found_in, left_by, page, percent_encoded

NUL, SOH = "\0", "\1"
REFUSED = b"535 5.7.8 Bad credentials\r\n"
LOOK_CHALLENGE = b"334 PDE3LjE3QHVwc3RyZWFtLmV4YW1wbGU+\r\n"


def cram(password: str) -> str:
    return hmac.new(password.encode(), b"<17.17@upstream.example>", hashlib.md5).hexdigest()


# mechanism -> what the client says after it, the first of them with the command or after a 334
EXCHANGES = {
    "PLAIN": (encoded(f"{NUL}anna{NUL}{MARK}"),),
    "LOGIN": (encoded("anna"), encoded(MARK)),
    "XOAUTH2": (encoded(f"user=anna{SOH}auth=Bearer {MARK}{SOH}{SOH}"),),
    "OAUTHBEARER": (encoded(f"n,a=anna,{SOH}host=x{SOH}auth=Bearer {MARK}{SOH}{SOH}"),),
    "CRAM-MD5": (encoded(f"anna {cram(MARK)}"),),
}


async def repeats(speaker: Speaker) -> None:
    """Refuse, and say what was said: as it came, and the secret alone if it was said."""
    words = speaker.upstream.commands[-1]
    if b"CRAM-MD5" not in words:
        words = b" ".join((words, MARK.encode(), encoded(MARK).encode()))
    await speaker.say(b"535 5.7.8 Cannot log in with " + words + b"\r\n")


def asks_for(count: int, verdict: bytes | None):
    """An upstream's side of AUTH with so many questions; without a verdict it repeats what it heard."""

    async def act(speaker: Speaker) -> None:
        commands = speaker.upstream.commands
        for _ in range(count + 1 - len(commands[-1].split()[1:])):
            await speaker.say(LOOK_CHALLENGE)
            commands.append(commands[-1] + b" " + (await speaker.until(b"\r\n")))
        await (speaker.say(verdict) if verdict else repeats(speaker))

    return act


@pytest.fixture(scope="module")
def site() -> int:
    return free_port()


@pytest.fixture(scope="module", params=["json", "console"])
def relay(request, upstream, relay_before, site, tmp_path_factory):
    """One relay, whose log is searched after each test."""
    log = {"format": request.param, "file": str(tmp_path_factory.mktemp("log") / "relay.log")}
    settings = {"log": log, "web": {"listen": f"127.0.0.1:{site}"}, "limits": {"errors": 1000, "login_failures": 1000}}
    with relay_before(upstream, **settings) as relay:
        yield dataclasses.replace(relay, log=Path(log["file"]))


@pytest.fixture
def client(behaves, relay):
    with Attacker(relay.addresses[0]) as client:
        client.greet()
        yield client


@pytest.fixture
def searched(relay, site):
    """Looks for secrets in all that the relay leaves, once the log is as far as a refusal made now."""

    def look(*secrets: str) -> None:
        with Attacker(relay.addresses[0]) as client:
            client.greet()
            client.ask("MAIL FROM:<me@here.example>")
            ref = client.ask("DATA").text.rpartition("[ref ")[2][:6]
        wait_for(lambda: ref in relay.log.read_text(), "the log to be written")
        places = left_by(relay) | {path: page(site, path) for path in ("/metrics", "/livez", "/readyz")}
        assert [found for secret in secrets for found in found_in(places, secret)] == []

    return look


@pytest.mark.parametrize("verdict", [b"235 2.7.0 Welcome\r\n", REFUSED, None], ids=["right", "wrong", "repeated"])
@pytest.mark.parametrize(
    ("mechanism", "initial"),
    [(name, first) for name in EXCHANGES for first in (True, False) if not (first and name == "CRAM-MD5")],
)  # in CRAM-MD5 the server speaks first
def test_every_mechanism(client, upstream, searched, mechanism, initial, verdict):  # noqa: PLR0917 -- all by name
    said = EXCHANGES[mechanism]
    upstream.acts["AUTH"] = asks_for(len(said), verdict)
    first, rest = (f"AUTH {mechanism} {said[0]}", said[1:]) if initial else (f"AUTH {mechanism}", said)
    answer = client.ask(first)
    for line in rest:
        assert answer.code == 334
        answer = client.ask(line)
    assert answer.code == (235 if verdict == b"235 2.7.0 Welcome\r\n" else 535)
    assert any(said[-1].encode() in line for line in upstream.commands)  # the upstream was told
    searched(MARK, cram(MARK))


def test_a_login_that_is_cancelled_or_too_long(client, upstream, searched):
    upstream.acts["AUTH"] = asks_for(2, b"501 5.7.0 Cancelled\r\n")
    long = encoded(MARK * 2000)
    for first, *rest in (
        ("AUTH LOGIN", encoded(MARK), "*"),
        ("AUTH LOGIN", encoded("anna"), f"{MARK}!"),
        ("AUTH LOGIN", encoded("anna"), long),
        (f"AUTH PLAIN {long}",),
        (f"AUTH PLAIN {MARK}!",),
        (f"AUTH PLAIN {encoded(MARK)} {encoded(MARK)}",),
    ):
        answer = client.ask(first)
        for line in rest:
            assert answer.code == 334
            answer = client.ask(line)
        assert answer.code >= 500
        assert MARK not in answer.text
        assert encoded(MARK) not in answer.text
    searched(MARK)


MISTYPED = (
    MARK,
    encoded(MARK),
    f"{MARK} {MARK}",
    f"AUTH {MARK}",
    f"AUTH PLAIN{encoded(MARK)}",
    f"PASS {MARK}",
    f"USER anna {MARK}",
    f"LOGIN anna {MARK}",
    f"a1 LOGIN anna {MARK}",  # what an IMAP program says
    f"HELO {MARK}",
    f"EHLO {MARK}",
    f"VRFY {MARK}",
    f"NOOP {MARK}",
    f"MAIL {MARK}",
    f"MAIL FROM {MARK}",
    f"MAIL FROM:<{MARK}",
    f"RCPT {MARK}",
    f"BDAT {MARK}",
    f"STARTTLS {MARK}",
    f"XCLIENT LOGIN={MARK}",
    f"GET /?password={percent_encoded(MARK)}",
    f"PROXY {MARK}",
)


def test_an_upstream_that_repeats_the_secret_of_an_exchange_before(client, upstream, searched):
    upstream.acts["AUTH"] = asks_for(0, REFUSED)
    assert client.ask(f"AUTH PLAIN {encoded(f'{NUL}anna{NUL}{MARK}')}").code == 535
    upstream.acts["AUTH"] = repeats  # the secret that was said before, not the one that is said now
    answer = client.ask(f"AUTH PLAIN {encoded(f'{NUL}anna{NUL}other-words')}")
    assert answer.code == 535
    assert MARK not in answer.text
    searched(MARK)


def test_a_password_where_the_mechanism_belongs_and_an_upstream_that_repeats_it(client, upstream, searched):
    upstream.acts["AUTH"] = says(f"504 5.5.4 Unrecognized authentication type {MARK.upper()}\r\n".encode())
    answer = client.ask(f"AUTH {MARK}")
    assert answer.code == 504
    assert MARK.lower() not in answer.text.lower()
    searched(MARK)


def test_secrets_where_commands_belong(client, upstream, searched):
    for line in MISTYPED:
        answer = client.ask(line)
        assert MARK not in answer.text, line
        assert encoded(MARK) not in answer.text, line
    searched(MARK)
    assert not any(MARK.encode() in line for line in upstream.commands)


def test_secrets_that_are_said_after_a_login_was_refused(client, upstream, searched):
    """A client that does not wait for the challenges: AUTH is refused, its answers come as commands."""
    upstream.acts["AUTH"] = says(b"504 5.5.4 Mechanism not known\r\n")
    client.say(f"AUTH LOGIN\r\n{encoded('anna')}\r\n{encoded(MARK)}\r\n".encode())
    answers = [client.hear() for _ in range(3)]
    assert [answer.code for answer in answers] == [504, 500, 500]
    assert not any(encoded(MARK) in answer.text for answer in answers)
    searched(MARK)
    assert not any(encoded(MARK).encode() in line for line in upstream.commands)


def test_addresses_where_the_operator_hides_them(behaves, relay_before):
    """A password typed where the address belongs is hidden with it, in the upstream's words too."""
    behaves.acts["RCPT"] = says(f"550 5.1.1 <{MARK}@there.example>: no user {MARK}\r\n".encode())
    with relay_before(behaves, log={"format": "json", "file": None, "mask_addresses": True}) as relay:
        with Attacker(relay.addresses[0]) as client:
            client.greet()
            assert client.ask(f"MAIL FROM:<{MARK}@here.example>").code == 250
            assert client.ask(f"RCPT TO:<{MARK}@there.example>").code == 550
            del behaves.acts["RCPT"]
            assert client.ask(f"RCPT TO:<{MARK}@there.example>").code == 250
            behaves.acts["dot"] = says(f"550 5.7.1 <{MARK.upper()}@there.example> does not want it\r\n".encode())
            assert client.ask("DATA").code == 354
            assert client.ask("Subject: x\r\n\r\nx\r\n.").code == 550
        relay.process.terminate()
        assert relay.process.wait(10) == 0
        assert "there.example" in relay.stderr.read_text()
        assert found_in(left_by(relay)) == []


OWN = {
    "url": lambda upstream, _: {"url": f"smtp+plain://relay:{percent_encoded(MARK)}@127.0.0.1:{upstream.port}"},
    "password": lambda upstream, _: {"url": upstream.url(), "user": "relay", "password": MARK},
    "file": lambda upstream, path: {"url": upstream.url(), "user": "relay", "password_file": str(path)},
}


@pytest.mark.parametrize(
    ("way", "mechanism", "verdict"),
    [
        *((way, "plain", None) for way in OWN),
        *(("url", mechanism, None) for mechanism in ("login", "cram-md5", "xoauth2")),
        ("url", "login", b"235 2.7.0 Welcome\r\n"),
    ],
)
def test_the_relays_own(way, mechanism, verdict, tmp_path):
    (tmp_path / "secret").write_text(MARK)
    questions = {"plain": 1, "login": 2, "cram-md5": 1, "xoauth2": 1}[mechanism]
    with Upstream() as upstream:
        upstream.acts["AUTH"] = asks_for(questions, verdict)
        own = OWN[way](upstream, tmp_path / "secret")
        with run_relay(tmp_path, {"upstream": {**own, "login_mechanism": mechanism}}) as relay:
            with Attacker(relay.addresses[0]) as client:
                client.greet()
                answer = client.ask("MAIL FROM:<me@here.example>")
            assert answer.code == (250 if verdict else 535)
            assert any(line.startswith(b"AUTH") for line in upstream.commands)
            relay.process.terminate()
            assert relay.process.wait(10) == 0
            assert found_in({**left_by(relay), "reply": answer.text.encode()}) == []


@pytest.mark.parametrize(
    "given",
    [
        f"os.environ['RELAY_UPSTREAM__PASSWORD'] = {MARK!r}",
        f"sys.argv += ['--set', 'upstream.password=' + {MARK!r}]",
    ],
    ids=["environment", "set"],
)
def test_the_relays_own_from_elsewhere(behaves, relay_before, given):
    """The process list shows flags; no more can be done about it than to say so in the manual."""
    behaves.acts["AUTH"] = asks_for(1, None)
    own = {"user": "relay", "login_mechanism": "plain"}
    with relay_before(behaves, before=f"import os, sys; {given}", upstream=own) as relay:
        with Attacker(relay.addresses[0]) as client:
            client.greet()
            answer = client.ask("MAIL FROM:<me@here.example>")
        assert answer.code == 535
        relay.process.terminate()
        assert relay.process.wait(10) == 0
        places = {"log": relay.log.read_bytes(), "stderr": relay.stderr.read_bytes(), "reply": answer.text.encode()}
        assert found_in(places) == []


def test_questions_without_end_to_the_relays_own_login_hold_nobody_up(behaves, relay_before):
    async def asks_for_ever(speaker: Speaker) -> None:
        while True:
            await speaker.say(LOOK_CHALLENGE)
            await speaker.until(b"\r\n")

    behaves.acts["AUTH"] = asks_for_ever
    with relay_before(behaves, upstream={"user": "relay", "password": MARK}) as relay:
        with Attacker(relay.addresses[0]) as client:
            client.greet()
            assert client.ask("MAIL FROM:<me@here.example>").code == 451
        behaves.acts.clear()
        with Attacker(relay.addresses[0]) as client:
            client.greet()
            assert client.send_mail().code == 250


BUGS = {
    "while a login is sent": "from relay.upstream.connection import Connection as C; C.send = boom",
    "while a login is watched": "from relay.smtp.sasl import LoginObserver as L; L.heard = boom",
    "while its reply is heard": "from relay.proxy.login import Login as L; L._heard = boom",
    "while it is explained": "from relay.proxy.service import Service as S; S.explained = boom",
}


@pytest.mark.parametrize(
    ("bug", "log_format"), [*((bug, "console") for bug in BUGS.values()), (BUGS["while a login is sent"], "json")]
)
def test_a_traceback_shows_no_secret(behaves, relay_before, bug, log_format):
    """The locals of every frame hold it; the log must not."""
    behaves.acts["AUTH"] = says(REFUSED)
    before = f"def boom(*args, **kwargs):\n    raise RuntimeError('a bug was forced')\n{bug}"
    with relay_before(behaves, before=before, log={"format": log_format, "file": None}) as relay:
        with Attacker(relay.addresses[0]) as client:
            client.greet()
            client.say(f"AUTH PLAIN {EXCHANGES['PLAIN'][0]}\r\nQUIT\r\n".encode())
            assert client._file.readline()[:4] in (b"421 ", b"421-", b"451-")  # and nobody is left waiting
        relay.process.terminate()
        relay.process.wait(10)
        relay.process.returncode = 0
        assert "a bug was forced" in relay.stderr.read_text()
        assert found_in(left_by(relay)) == []
