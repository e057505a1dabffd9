"""A greylisting policy service for Postfix: the first try of a sender and recipient is put off, the next is let in."""

from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Policy(socketserver.StreamRequestHandler):
    """Postfix's policy protocol: lines of name=value, an empty line, then one action (SMTPD_POLICY_README)."""

    seen: set[tuple[str, str]]  # one set for each service: `greylisting` makes the subclass
    words: str

    def handle(self) -> None:
        request: dict[str, str] = {}
        for line in self.rfile:
            name, equals, value = line.decode().strip().partition("=")
            if equals:
                request[name] = value
            else:
                self.wfile.write(f"action={self._verdict(request)}\n\n".encode())
                request = {}

    def _verdict(self, request: dict[str, str]) -> str:
        attempt = (request["sender"], request["recipient"])
        if attempt in self.seen:
            return "DUNNO"
        self.seen.add(attempt)
        return f"450 4.2.0 {self.words}"


@contextmanager
def greylisting(words: str) -> Iterator[int]:
    """Serve on a free port of loopback and give that port; `words` are what is said at the first try."""
    handler = type("Policy", (_Policy,), {"seen": set(), "words": words})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True  # Postfix keeps its connection open for reuse
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
