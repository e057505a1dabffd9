"""Looks for a marked secret, in every form it may take, wherever a running relay leaves words."""

from __future__ import annotations

import base64
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from running_relay import Relay

MARK = "tOp-sEcrEt-mArk"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def percent_encoded(text: str) -> str:
    """Every octet of it, as a URL may have it."""
    return "".join(f"%{octet:02X}" for octet in text.encode())


def forms(secret: str) -> tuple[bytes, ...]:
    """The secret as it is, in base64 (which looks different at each of three offsets), percent-encoded, in hex."""
    raw = secret.encode()
    shifted = (base64.b64encode(b"\0" * offset + raw) for offset in range(3))
    in_base64 = (text[4 if offset else 0 : -4].lower() for offset, text in enumerate(shifted))
    return (raw.lower(), *in_base64, percent_encoded(secret).lower().encode(), raw.hex().encode())


def found_in(places: Mapping[str, bytes], secret: str = MARK) -> list[tuple[str, bytes]]:
    """Where it is, and in which form."""
    return [(place, form) for place, octets in places.items() for form in forms(secret) if form in octets.lower()]


def left_by(relay: Relay, *, environment: bool = True) -> dict[str, bytes]:
    """All the words of a relay: its log, its standard error, what the process list shows of it."""
    proc = Path(f"/proc/{relay.process.pid}")
    shown = {"cmdline": proc / "cmdline", **({"environ": proc / "environ"} if environment else {})}
    files = {"log": relay.log, "stderr": relay.stderr, **shown}
    return {name: path.read_bytes() for name, path in files.items() if path.exists()}


def page(port: int, path: str) -> bytes:
    """A page of the relay's own site."""
    return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).read()
