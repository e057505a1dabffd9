"""A real Postfix with everything of its own: one instance, one port for each thing a mail server may object to."""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .programs import free_ports, program, run_as_root, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .certificates import Certificates

SIZE_LIMIT = 20_000  # octets, on the port named `small` alone

# Written with the Postfix in mind that Debian 12 has (3.7). Everything that would look outside - DNS, host names,
# the system's users and aliases - is switched off; mail for a foreign domain is thrown away.
MAIN_CF = """
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = {directory}/postfix.log
maillog_file_prefixes = {directory}
myhostname = mx.corp.example
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtp_host_lookup = native
disable_dns_lookups = yes
smtpd_peername_lookup = no
alias_maps =
alias_database =
local_recipient_maps =
local_header_rewrite_clients =
default_transport = discard:
message_size_limit = 52428800
smtpd_error_sleep_time = 0
smtpd_tls_security_level = none
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth_socket}
smtpd_sasl_security_options = noanonymous
smtpd_sender_login_maps = inline:{{ {{alice@corp.example = alice}}, {{bob@corp.example = bob}} }}
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{full@corp.example = 452 4.2.2 Mailbox full}} }}
virtual_mailbox_domains = corp.example
virtual_mailbox_maps =
  inline:{{ {{alice@corp.example = alice/}}, {{bob@corp.example = bob/}}, {{full@corp.example = full/}} }}
virtual_mailbox_base = {directory}/mail
virtual_mailbox_limit = 0
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
"""

# name of the port -> how it differs from main.cf
PORTS: Mapping[str, tuple[str, ...]] = {
    "mx": (),
    "impatient": ("smtpd_timeout = 1s",),
    "small": (f"message_size_limit = {SIZE_LIMIT}",),
    "greylisting": ("smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{around.greylist_port}",),
    "greylisting_briefly": (
        "smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{around.brief_greylist_port}",
    ),
    "login": (
        "smtpd_sasl_auth_enable = yes",
        "smtpd_sender_restrictions = reject_sender_login_mismatch",
    ),
    "login_over_tls": (
        "smtpd_tls_security_level = encrypt",
        "smtpd_tls_chain_files = {around.certificates.good}",
        "smtpd_sasl_auth_enable = yes",
        "smtpd_sender_restrictions = reject_sender_login_mismatch",
    ),
    "starttls": ("smtpd_tls_security_level = may", "smtpd_tls_chain_files = {around.certificates.good}"),
    "wrapped": ("smtpd_tls_wrappermode = yes", "smtpd_tls_chain_files = {around.certificates.good}"),
    "wrong_name": ("smtpd_tls_security_level = may", "smtpd_tls_chain_files = {around.certificates.wrong_name}"),
    "named_elsewhere": ("smtpd_tls_security_level = may", "smtpd_tls_chain_files = {around.certificates.wrong_name}"),
    "expired": ("smtpd_tls_security_level = may", "smtpd_tls_chain_files = {around.certificates.expired}"),
    "unknown_authority": (
        "smtpd_tls_security_level = may",
        "smtpd_tls_chain_files = {around.certificates.unknown_authority}",
    ),
    # What a company's mail server in front of the relay does: takes everything, then sends it on through the relay.
    "office": (
        "mynetworks = 127.0.0.0/8",
        "smtpd_relay_restrictions = permit_mynetworks, reject",
        "smtpd_reject_unlisted_recipient = no",
        "content_filter = office:[127.0.0.1]:{around.office_relay_port}",
    ),
}

# postfix(1) needs these services; none is chrooted (n), for the packages' chroot lies outside our folder.
SERVICES = """
cleanup    unix  n - n - 0   cleanup
qmgr       unix  n - n 300 1 qmgr
tlsmgr     unix  - - n 1000? 1 tlsmgr
rewrite    unix  - - n - -   trivial-rewrite
bounce     unix  - - n - 0   bounce
defer      unix  - - n - 0   bounce
trace      unix  - - n - 0   bounce
verify     unix  - - n - 1   verify
flush      unix  n - n 1000? 0 flush
proxymap   unix  - - n - -   proxymap
proxywrite unix  - - n - 1   proxymap
error      unix  - - n - -   error
retry      unix  - - n - -   error
discard    unix  - - n - -   discard
virtual    unix  - n n - -   virtual
anvil      unix  - - n - 1   anvil
scache     unix  - - n - 1   scache
postlog    unix-dgram n - n - 1 postlogd
smtp       unix  - - n - -   smtp
office     unix  - - n - -   smtp -o {myhostname=office.corp.example}
"""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What Postfix leans on, and whom it hands mail to."""

    auth_socket: Path
    greylist_port: int
    brief_greylist_port: int
    certificates: Certificates
    office_relay_port: int  # where the port named `office` hands everything on to: the test puts a relay there


@dataclass(frozen=True, slots=True)
class Postfix:
    """The running server: its ports by name, and the mail it delivered."""

    directory: Path
    ports: Mapping[str, int]
    surroundings: Surroundings

    @property
    def certificates(self) -> Certificates:
        return self.surroundings.certificates

    def url(self, port: str, scheme: str = "smtp", login: str = "") -> str:
        """The address of one of its ports, as `relay run --upstream` wants it."""
        return f"{scheme}://{login}127.0.0.1:{self.ports[port]}"

    def stop(self) -> None:
        """Let nothing listen any more."""
        run_as_root(program("postfix"), "-c", str(self.directory / "etc"), "stop")

    def start(self) -> None:
        """Serve again, on the same ports."""
        run_as_root(program("postfix"), "-c", str(self.directory / "etc"), "start")

    def mailbox(self, user: str) -> list[bytes]:
        """Every message in this user's mailbox."""
        return [path.read_bytes() for path in (self.directory / "mail" / user / "new").glob("*")]

    def find(self, user: str, token: str) -> bytes | None:
        """The message in this user's mailbox that holds the token, as stored (line ends are LF); None if not there."""
        for path in (self.directory / "mail" / user / "new").glob("*"):
            if token.encode() in (stored := path.read_bytes()):
                return stored
        return None

    def delivered(self, user: str, token: str) -> bytes:
        """Wait for the message that holds the token to be in the mailbox, and return it."""
        return wait_for(lambda: self.find(user, token), f"the mail {token!r} in the mailbox of {user}")

    def logged(self, *parts: str) -> tuple[str, ...]:
        """The lines of its log, so far, that hold all these parts."""
        lines = (self.directory / "postfix.log").read_text().splitlines()
        return tuple(line for line in lines if all(part in line for part in parts))


@contextmanager
def postfix(directory: Path, surroundings: Surroundings) -> Iterator[Postfix]:
    """Run Postfix with its configuration, queue and mailboxes inside `directory`, a folder every user may enter."""
    server = Postfix(directory, dict(zip(PORTS, free_ports(len(PORTS)), strict=True)), surroundings)
    _write_configuration(server)
    _make_folders(directory)
    command = (program("postfix"), "-c", str(directory / "etc"))
    try:
        run_as_root(*command, "start")
    except RuntimeError as failed:
        raise RuntimeError(f"{failed}\n{_log(directory)}") from failed
    try:
        yield server
    finally:
        run_as_root(*command, "abort")  # at once: what is in the queue is of no interest any more


def _write_configuration(server: Postfix) -> None:
    etc, owner = server.directory / "etc", _mail_owner()
    etc.mkdir()
    facts = {"directory": server.directory, "uid": owner.pw_uid, "gid": owner.pw_gid}
    (etc / "main.cf").write_text(MAIN_CF.format(**facts, auth_socket=server.surroundings.auth_socket))
    listeners = "".join(_listener(server, name) for name in PORTS)
    (etc / "master.cf").write_text(listeners + SERVICES)


def _listener(server: Postfix, name: str) -> str:
    options = " ".join(f"-o {{ {option.format(around=server.surroundings)} }}" for option in PORTS[name])
    return f"127.0.0.1:{server.ports[name]} inet n - n - - smtpd -o syslog_name=postfix/{name} {options}\n"


def _mail_owner() -> pwd.struct_passwd:
    """Who owns the mailboxes: whoever runs the tests, but never root (Postfix refuses to deliver as root)."""
    return pwd.getpwuid(os.geteuid()) if os.geteuid() else pwd.getpwnam("nobody")


def _make_folders(directory: Path) -> None:
    owner = _mail_owner()
    for name, user in (("queue", "root"), ("data", "postfix"), ("mail", str(owner.pw_uid))):
        (directory / name).mkdir()
        run_as_root("chown", user, str(directory / name))
    run_as_root("chown", "-R", "root", str(directory / "etc"))


def _log(directory: Path) -> str:
    log = directory / "postfix.log"
    return log.read_text() if log.exists() else "(Postfix wrote no log)"
