"""A real Dovecot that answers one question: are this user name and password right? Postfix asks it over a socket."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .programs import as_root, program, run_as_root, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORDS = {"alice": "wonder-Land-42", "bob": "bob's-Secret-7"}

CONFIGURATION = """
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
protocols =
ssl = no
auth_mechanisms = plain login
auth_failure_delay = 0
disable_plaintext_auth = no
passdb {{
  driver = passwd-file
  args = {directory}/passwd
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener {directory}/auth {{
    mode = 0666
  }}
}}
# No growing delay after wrong passwords (Dovecot's documented way to switch the penalty off).
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


@contextmanager
def dovecot(directory: Path) -> Iterator[Path]:
    """Run Dovecot with everything of its own inside `directory`, and give the socket Postfix asks."""
    configuration, socket = directory / "dovecot.conf", directory / "auth"
    configuration.write_text(CONFIGURATION.format(directory=directory))
    users = "".join(f"{user}:{{PLAIN}}{password}::::::\n" for user, password in PASSWORDS.items())
    (directory / "passwd").write_text(users)
    process = subprocess.Popen([*as_root(), program("dovecot"), "-F", "-c", str(configuration)])
    try:
        wait_for(socket.exists, "Dovecot's auth socket")
        yield socket
    finally:
        run_as_root("kill", str(process.pid))
        process.wait(timeout=10)
