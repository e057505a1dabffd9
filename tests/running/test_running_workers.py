"""Several processes that share the work: watched, started again, told of signals, counted as one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from running_client import Client, assert_explained
from running_relay import free_port, run_relay, wait_for, write_settings
from secret_search import page

SEVERAL = {"workers": 3}


def children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def has_open(pid: int, file: Path) -> bool:
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it is being closed
            if each.resolve() == file:
                return True
    return False


def listening(port: int) -> int:
    """How many sockets on loopback listen at this port."""
    return Path("/proc/net/tcp").read_text().count(f"0100007F:{port:04X} 00000000:0000 0A")


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def send(relay, times: int = 1) -> None:
    for _ in range(times):
        with Client(relay.addresses[0]) as client:
            client.greet()
            assert client.send_mail().code == 250
            assert client.ask("QUIT").code == 221


def test_mail_passes_and_every_event_is_a_whole_line(start):
    relay = start(SEVERAL)
    assert len(children(relay.process.pid)) == 3
    send(relay, 20)
    assert len(relay.events("relay_message", 20)) == 20


def test_a_worker_that_is_killed_is_started_again_and_waiting_clients_are_served(start):
    relay = start({"workers": 2})
    before = children(relay.process.pid)
    for victim in before:
        os.kill(victim, signal.SIGSTOP)  # now every new client waits in the queue of one of them
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(relay.addresses[0])) for _ in range(8)]
        for victim in before:
            os.kill(victim, signal.SIGKILL)
        for client in clients:
            client.greet()
            assert client.send_mail().code == 250
    assert not before & children(relay.process.pid)
    assert {event["pid"] for event in relay.events("worker_died", 2)} == before


def test_a_worker_that_hangs_is_replaced_and_those_that_work_are_not(start):
    relay = start({"workers": 2}, before="import relay.supervisor\nrelay.supervisor._SILENT_ROUNDS = 3")
    before = children(relay.process.pid)
    victim = min(before)
    os.kill(victim, signal.SIGSTOP)
    with ExitStack() as stack:  # some of them wait in its queue
        for client in [stack.enter_context(Client(relay.addresses[0])) for _ in range(8)]:
            client.greet()
            assert client.send_mail().code == 250
    assert [event["pid"] for event in relay.events("worker_hangs")] == [victim]
    assert [event["pid"] for event in relay.events("worker_died")] == [victim]
    assert before & children(relay.process.pid) == before - {victim}


def test_a_worker_that_keeps_dying_does_not_keep_the_machine_busy(start):
    relay = start({"workers": 2})
    for times in range(1, 4):
        victim, _ = wait_for(lambda: len(now := children(relay.process.pid)) == 2 and now, "two workers")
        os.kill(victim, signal.SIGKILL)
        relay.events("worker_died", times)
    pauses = [event["restart_in"] for event in relay.events("worker_died", 3)]
    assert pauses[0] > 0
    assert len(children(relay.process.pid)) <= 2


def test_clients_do_not_wait_for_a_worker_that_cannot_be_started_again(start, certificate, tmp_path):
    key, aside = Path(certificate["key"]), tmp_path / "aside"
    relay = start({"workers": 2, "listen": [{"address": "127.0.0.1:0", "tls": "starttls", **certificate}]})
    key.rename(aside)
    try:
        os.kill(min(children(relay.process.pid)), signal.SIGKILL)
        relay.events("worker_died", 3)
        for _ in range(10):
            send(relay)
        assert str(key) in relay.events("worker_failed")[0]["why"]
    finally:
        aside.rename(key)
    wait_for(lambda: listening(relay.addresses[0][1]) == 2, "the worker to come back", 20)
    for _ in range(10):
        send(relay)


def test_the_stop_lets_mail_in_flight_finish_and_leaves_no_process(start, upstream):
    relay = start(SEVERAL)
    workers = children(relay.process.pid)
    upstream.conduct.verdict.clear()
    with Client(relay.addresses[0]) as client:
        client.greet()
        client.begin_message()
        client.say(b"Subject: x\r\n\r\n.\r\n")
        wait_for(lambda: upstream.conduct.size, "the message at the upstream")
        relay.process.terminate()
        wait_for(lambda: len(relay.events("relay_stopping", 3)) == 3, "all workers to hear of it")
        upstream.conduct.verdict.set()
        assert client.hear().code == 250
    assert relay.process.wait(10) == 0
    assert all(map(gone, workers))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(relay.addresses[0])


def test_workers_end_with_a_supervisor_that_was_killed(start):
    relay = start(SEVERAL)
    workers = children(relay.process.pid)
    relay.process.kill()
    relay.process.wait()
    wait_for(lambda: all(map(gone, workers)), "the workers to end")
    relay.process.returncode = 0  # as it was meant to end


def test_a_reload_reaches_every_worker_and_cuts_nobody_off(start):
    relay = start(SEVERAL)
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(relay.addresses[0])) for _ in range(9)]
        for client in clients:
            client.greet()
        settings = {**json.loads(relay.config.read_text()), "limits": {"recipients": 1}}
        write_settings(relay.config, settings)
        relay.process.send_signal(signal.SIGHUP)
        relay.events("reloaded", 3)
        for client in clients:
            client.begin_mail()
            assert_explained(client.ask("RCPT TO:<second@there.example>"), 452, "4.5.3")


def test_a_worker_started_after_a_reload_keeps_what_changes_only_with_a_restart(start):
    doors = [{"address": "127.0.0.1:0"}, {"address": "127.0.0.1:0", "allow": ["192.0.2.0/24"]}]
    relay = start({"workers": 2, "listen": doors})
    changed = {"listen": [*reversed(doors), doors[0]], "retry": {"mode": "spool"}, "limits": {"recipients": 1}}
    write_settings(relay.config, {**json.loads(relay.config.read_text()), **changed})
    relay.process.send_signal(signal.SIGHUP)
    relay.events("reloaded", 2)
    for number in range(2):  # one at a time, so that none is started late
        victim = min(children(relay.process.pid))
        os.kill(victim, signal.SIGKILL)
        relay.events("worker_died", number + 1)
        wait_for(lambda victim=victim: len(now := children(relay.process.pid)) == 2 and victim not in now, "another")
    for _ in range(4):
        with Client(relay.addresses[0]) as client:
            client.greet()
            client.begin_mail()
            assert client.ask("RCPT TO:<second@there.example>").code == 452
        with Client(relay.addresses[1]) as client:
            assert client.hear().code == 554


def test_a_bad_reload_reaches_no_worker(start):
    relay = start(SEVERAL)
    workers = children(relay.process.pid)
    good = relay.config.read_text()
    relay.config.write_text("limits:\n  recipients: many\n")
    relay.process.send_signal(signal.SIGHUP)
    assert len(relay.events("reload_refused")) == 1
    relay.config.write_text(good)
    send(relay, 3)
    assert children(relay.process.pid) == workers


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_a_log_that_was_moved_away_is_let_go_of_even_where_the_settings_hold_a_mistake(start, number):
    relay = start(SEVERAL)
    processes = {relay.process.pid, *children(relay.process.pid)}
    relay.config.write_text("limits:\n  recipients: many\n")
    old = relay.log.rename(relay.log.with_suffix(".1"))
    relay.process.send_signal(number)
    wait_for(lambda: not any(has_open(pid, old) for pid in processes), "the old file to be closed")
    send(relay, 3)
    assert len(relay.events("relay_message", 3)) == 3
    if number == signal.SIGHUP:
        assert len(relay.events("reload_refused")) == 1
    assert {relay.process.pid, *children(relay.process.pid)} == processes


def test_the_limits_of_connections_hold_for_all_together(start):
    relay = start({**SEVERAL, "limits": {"connections": 5}})
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(Client(relay.addresses[0])).greet()
        assert_explained(stack.enter_context(Client(relay.addresses[0])).hear(), 421, "4.3.2")


def test_the_limit_of_one_address_holds_for_all_together(start):
    listen = [{"address": "127.0.0.1:0", "allow": ["192.0.2.0/24"], "proxy_protocol": ["127.0.0.1"]}]
    relay = start({**SEVERAL, "listen": listen, "limits": {"connections_per_address": 4}})
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(relay.addresses[0])) for _ in range(6)]
        for client in clients:
            client.say(b"PROXY TCP4 192.0.2.7 127.0.0.1 4000 25\r\n")
        assert sorted(client.hear().code for client in clients) == [220] * 4 + [421] * 2


NOWHERE = "postgresql://relay:S3CRET@127.0.0.1:1/spool"


def without_its_database(tmp_path: Path, workers: int) -> subprocess.Popen[bytes]:
    flags = [f"workers={workers}", "retry.mode=spool", f"database.url={NOWHERE}"]
    with (tmp_path / "stderr").open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "relay", "run", "--practice", "--listen", "127.0.0.1:0", "--log-format", "json"]
            + [word for flag in flags for word in ("--set", flag)],
            stderr=errors,
        )


def reasons(log: Path) -> list[str]:
    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]  # the last words are for people
    return [event["why"] for event in map(json.loads, lines) if event["event"] == "worker_failed"]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("closed", [False, True], ids=["full", "closed"])
def test_a_standard_error_that_takes_nothing_ends_nothing(tmp_path, workers, closed):
    log, port = tmp_path / "relay.log", free_port()
    command = [sys.executable, "-m", "relay", "run", "--practice", "--listen", f"127.0.0.1:{port}"]
    command += ["--log-format", "json", "--log-file", str(log), "--set", f"workers={workers}"]
    if closed:
        command = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    with Path("/dev/full").open("wb") as full, subprocess.Popen(command, stderr=full) as process:
        wait_for(lambda: log.exists() and "relay_ready" in log.read_text(), "the relay to serve")
        with Client(("127.0.0.1", port)) as client:
            client.greet()
        process.terminate()
        assert process.wait(10) == 0


def test_several_without_their_database_say_why_and_end_with_a_status_that_lets_them_be_started_again(tmp_path):
    with without_its_database(tmp_path, 2) as process:
        assert process.wait(10) == 1
    told = reasons(tmp_path / "stderr")
    assert told and all("cannot be used: [Errno 111] Connection refused" in why for why in told)
    assert "S3CRET" not in (tmp_path / "stderr").read_text()


def test_several_whose_metrics_page_has_no_place_end_instead_of_working_without_it(tmp_path, upstream):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        web = {"listen": f"127.0.0.1:{taken.getsockname()[1]}"}
        settings = {"workers": 2, "upstream": {"url": upstream.url}, "web": web}
        with pytest.raises(pytest.fail.Exception, match="ended with 1 "), run_relay(tmp_path, settings):
            pass
    assert ["Address already in use" in why for why in reasons(tmp_path / "relay.log")] == [True]


def test_one_without_its_database_ends_with_a_status_that_lets_it_be_started_again(tmp_path):
    with without_its_database(tmp_path, 1) as process:
        assert process.wait(10) == 1
    assert "cannot be used: [Errno 111] Connection refused" in (tmp_path / "stderr").read_text()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("folder", [False, True])
def test_a_book_that_cannot_be_read_ends_with_a_status_that_no_restart_follows(tmp_path, upstream, workers, folder):
    chapter = tmp_path / "house" / "mine.yaml"
    chapter.mkdir(parents=True)
    if not folder:
        chapter.rmdir()
        chapter.write_bytes("# Grüße\n".encode("latin-1"))
    settings = {"workers": workers, "upstream": {"url": upstream.url}, "book": {"house": str(chapter.parent)}}
    with pytest.raises(pytest.fail.Exception, match="ended with 2 "), run_relay(tmp_path, settings):
        pass
    assert f"{chapter}:" in (tmp_path / "relay.stderr").read_text()


def test_two_relays_do_not_share_an_address_by_mistake(start, upstream, tmp_path):
    host, port = start(SEVERAL).addresses[0]
    second = {**SEVERAL, "upstream": {"url": upstream.url}, "listen": [{"address": f"{host}:{port}"}]}
    (tmp_path / "second").mkdir()
    with (
        pytest.raises(pytest.fail.Exception, match=f"cannot listen: .*{host}:{port}: Address already in use"),
        run_relay(tmp_path / "second", second),
    ):
        pass


def test_clients_wait_where_no_process_serves_and_the_site_says_so(start, own_certificate):
    """Two that cannot be started again for a while: the last of them keeps its clients."""
    port = free_port()
    relay = start({
        "workers": 2, "listen": [{"address": "127.0.0.1:0", "tls": "starttls", **own_certificate()}],
        "web": {"listen": f"127.0.0.1:{port}"},
    })  # fmt: skip
    key = Path(relay.config.parent / "relay.key")
    kept = key.read_bytes()
    key.write_text("no key")
    workers = sorted(children(relay.process.pid))[:2]
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    relay.events("worker_died", 5)
    assert b"503" in answer_of(port, "/readyz")
    with Client(relay.addresses[0], 20) as client:
        key.write_bytes(kept)
        client.greet()
        assert client.send_mail().code == 250
    assert b"200" in answer_of(port, "/readyz")


def answer_of(port: int, path: str) -> bytes:
    """The first line of what the relay's site answers."""
    with socket.create_connection(("127.0.0.1", port), 8) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return sock.recv(100).splitlines()[0]


def test_metrics_are_those_of_all_workers(start):
    port = free_port()
    relay = start({**SEVERAL, "web": {"listen": f"127.0.0.1:{port}"}})
    send(relay, 12)
    text = page(port, "/metrics").decode()
    assert "relay_messages_total 12.0" in text
    assert "relay_connections_total 12.0" in text


def test_the_clients_of_a_worker_that_died_are_no_longer_shown(start):
    port = free_port()
    relay = start({"workers": 2, "web": {"listen": f"127.0.0.1:{port}"}})

    def shown() -> str:
        text = page(port, "/metrics").decode()
        return next(line for line in text.splitlines() if line.startswith("relay_clients "))

    with Client(relay.addresses[0]) as client:
        client.greet()
        assert shown() == "relay_clients 1.0"
        office = max(children(relay.process.pid))  # the last that was started
        for victim in children(relay.process.pid) - {office}:
            os.kill(victim, signal.SIGKILL)
        wait_for(lambda: shown() == "relay_clients 0.0", "the clients to be gone")
