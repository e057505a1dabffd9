"""Logins at rest: encrypted under the operator's key, which the database never holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken

from relay.smtp.sasl import Credentials

if TYPE_CHECKING:
    from pydantic import SecretStr


class Vault:
    """Locks a client's login away, and gives it out to deliver that client's mail."""

    def __init__(self, key: SecretStr) -> None:
        self._fernet = Fernet(key.get_secret_value())

    def lock(self, credentials: Credentials) -> bytes:
        """The login as it may be written down."""
        return self._fernet.encrypt(json.dumps(list(credentials)).encode())

    def unlock(self, locked: bytes) -> Credentials | None:
        """The login; None where it was locked under another key."""
        try:
            return Credentials(*json.loads(self._fernet.decrypt(locked)))
        except InvalidToken:
            return None
