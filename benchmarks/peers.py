"""Who is measured: the relay and the programs beside it, each a command and a folder of configuration files.

The files lie in `benchmarks/peers/`; in them, and in the commands, `$port`, `$upstream`, `$folder` and the like are
filled in. Nothing else is set anywhere.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from benchmarks.programs import CACHE, HERE, UnavailableError, find, free_port, run_to_end, running, wait_for_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

USER, PASSWORD = "bench", "bench-password"  # of the sink that demands a login; it holds nothing
HARAKA = CACHE / "haraka" / "node_modules" / "Haraka" / "bin" / "haraka"

PROGRAM = (sys.executable, "-m", "relay")
PROGRAM_COMPILED = (str(HERE.parent / ".venv-compiled" / "bin" / "relay"),)

_RUN = ("run", "--listen", "127.0.0.1:$port")
_RELAY = (*PROGRAM, *_RUN)
_LOG = ("--log-format", "json", "--log-file", "$folder/relay.log")
_PLAIN = ("--upstream", "smtp+plain://127.0.0.1:$upstream")
_TLS = (
    *("--upstream", "smtps://$user:$password@127.0.0.1:$upstream"),
    *("--set", "upstream.tls.ca_file=$certificate", "--set", "upstream.tls.server_name=localhost"),
    *("--set", "upstream.pool.warm=20"),
)


def _as_it_is(folder: Path) -> None:
    """Nothing to prepare."""


def _as_root(_folder: Path) -> None:
    if os.geteuid() != 0:
        raise UnavailableError("it starts as root only")


def _folders_of_postfix(folder: Path) -> None:
    _as_root(folder)
    for name, owner in (("queue", "root"), ("data", "postfix")):
        (folder / name).mkdir()
        shutil.chown(folder / name, owner)
    run_to_end(find("postfix", "Debian: postfix"), "-c", str(folder), "check")


def _folders_of_dovecot(folder: Path) -> None:
    _as_root(folder)
    (folder / "mail").mkdir()
    shutil.chown(folder / "mail", "nobody", "nogroup")


def _module_of_haraka(_folder: Path) -> None:
    if not HARAKA.exists():
        raise UnavailableError("the npm package Haraka is not installed (make bench does it where npm is)")


@dataclass(frozen=True, slots=True)
class Peer:
    """One program between a mail program and its mail server."""

    name: str
    command: tuple[str, ...]
    files: str = ""  # its folder in benchmarks/peers
    source: str = ""  # where its program comes from
    prepare: Callable[[Path], None] = _as_it_is
    greets: bool = True  # False where TLS comes before the greeting


@dataclass(frozen=True, slots=True)
class Target:
    """Something to send mail to; without a pid nobody is between us and the sink."""

    name: str
    port: int
    pid: int | None = None


RELAY = Peer("relay", (*_RELAY, *_LOG, *_PLAIN))
RELAY_2 = Peer("relay, 2 workers", (*RELAY.command, "--set", "workers=2"))
RELAY_COMPILED = Peer("relay, compiled", (*PROGRAM_COMPILED, *_RUN, *_LOG, *_PLAIN), source="make compiled")
RELAY_TLS = Peer("relay, pool warm", (*_RELAY, *_LOG, *_TLS))

_HAPROXY_FROM, _POSTFIX_FROM = "Debian: haproxy", "Debian: postfix"
HAPROXY = Peer("haproxy tcp", ("haproxy", "-db", "-f", "$folder/haproxy.cfg"), "haproxy", _HAPROXY_FROM)
HAPROXY_TLS = Peer("haproxy tcp to TLS", HAPROXY.command, "haproxy_tls", _HAPROXY_FROM)
TLS_SINK = Peer("TLS in front of the sink", HAPROXY.command, "tls_sink", _HAPROXY_FROM, greets=False)

_POSTFIX = ("master", "-c", "$folder", "-d")  # not "postfix start-fg": its child would leave our process group
POSTFIX = Peer("Postfix before-queue proxy", _POSTFIX, "postfix_proxy", _POSTFIX_FROM, _folders_of_postfix)
POSTFIX_QUEUE = Peer("Postfix smarthost (queue)", _POSTFIX, "postfix_queue", _POSTFIX_FROM, _folders_of_postfix)

DOVECOT = Peer(
    "Dovecot submission",
    ("dovecot", "-F", "-c", "$folder/dovecot.conf"),
    "dovecot",
    "Debian: dovecot-submissiond",
    _folders_of_dovecot,
)
HARAKA_PROXY = Peer(
    "Haraka smtp_proxy", ("node", str(HARAKA), "-c", "$folder"), "haraka", "Debian: nodejs", _module_of_haraka
)
NAIVE = Peer("naive aiosmtpd + aiosmtplib", (sys.executable, str(HERE / "naive.py"), "$port", "$upstream"))

PEERS = (RELAY, RELAY_COMPILED, RELAY_2, HAPROXY, POSTFIX, HARAKA_PROXY, NAIVE)


@contextmanager
def serving(peer: Peer, upstream: int, folder: Path, facts: Mapping[str, str]) -> Iterator[Target]:
    """Run a peer in front of the upstream's port, its files in `folder`.

    Raises:
        UnavailableError: it is not installed, or does not start here.
    """
    folder.mkdir()
    port = free_port()
    filled_in = {**facts, "port": port, "upstream": upstream, "folder": folder, "user": USER, "password": PASSWORD}
    program, *arguments = (Template(part).substitute(filled_in) for part in peer.command)
    command = (find(program, peer.source), *arguments)
    _write_files(peer, folder, filled_in)
    peer.prepare(folder)
    with running(command, folder) as process:
        wait_for_server(process, port, folder, greets=peer.greets)
        yield Target(peer.name, port, process.pid)


def make_certificate(folder: Path) -> dict[str, str]:
    """A certificate for localhost, signed by itself; as facts for the peers' files."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    kind = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    files = ("-keyout", str(key), "-out", str(certificate))
    run_to_end(find("openssl", "Debian: openssl"), "req", *kind, *names, *files)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return {"certificate": str(certificate), "certificate_and_key": str(both)}


def _write_files(peer: Peer, folder: Path, filled_in: Mapping[str, object]) -> None:
    if not peer.files:
        return
    source = HERE / "peers" / peer.files
    for file in filter(Path.is_file, source.rglob("*")):
        written = folder / file.relative_to(source)
        written.parent.mkdir(exist_ok=True)
        written.write_text(Template(file.read_text("utf-8")).substitute(filled_in), "utf-8")
