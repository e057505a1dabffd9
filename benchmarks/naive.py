"""What one writes in an afternoon: aiosmtpd's hooks, and for each message a connection of aiosmtplib. A yardstick.

It is live (each command is answered with the upstream's own verdict) and fair (no needless work), and uses the two
libraries as their manuals suggest. usage: naive.py PORT UPSTREAM
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import aiosmtplib
from aiosmtpd.smtp import SMTP

if TYPE_CHECKING:
    from aiosmtpd.smtp import Envelope, Session

_SIZE_LIMIT = 50 * 1024 * 1024


class Proxy:
    """Passes MAIL, RCPT and the message on; one object for each client."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._client: aiosmtplib.SMTP | None = None

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self._client = aiosmtplib.SMTP(hostname="127.0.0.1", port=self._upstream, start_tls=False, use_tls=False)
        try:
            await self._client.connect()
            reply = await self._client.mail(address, options=options)
        except aiosmtplib.SMTPException as error:
            return _refusal(error)
        envelope.mail_from = address
        return f"{reply.code} {reply.message}"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        assert self._client
        try:
            reply = await self._client.rcpt(address, options=options)
        except aiosmtplib.SMTPException as error:
            return _refusal(error)
        envelope.rcpt_tos.append(address)
        return f"{reply.code} {reply.message}"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert self._client
        assert isinstance(envelope.content, bytes)
        try:
            reply = await self._client.data(envelope.content)
            await self._client.quit()
        except aiosmtplib.SMTPException as error:
            return _refusal(error)
        return f"{reply.code} {reply.message}"


def _refusal(error: aiosmtplib.SMTPException) -> str:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {error.message}"
    return f"451 4.4.0 {error}"


async def main(port: int, upstream: int) -> None:
    def client() -> SMTP:
        return SMTP(Proxy(upstream), data_size_limit=_SIZE_LIMIT, enable_SMTPUTF8=True, hostname="naive.example")

    server = await asyncio.get_running_loop().create_server(client, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
