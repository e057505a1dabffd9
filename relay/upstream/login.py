"""The relay's own login at the upstream: one mechanism, tried once.

Trying one mechanism after the other turns one wrong password into three failures, and a locked account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiosmtplib.auth import auth_crammd5_verify, auth_login_encode, auth_plain_encode, auth_xoauth2_encode
from aiosmtplib.errors import SMTPAuthenticationError

from relay.networks import is_loopback
from relay.smtp import Fault, Phase, Reply, reply_for
from relay.smtp.sasl import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from relay.upstream.connection import Connection
    from relay.upstream.server import Login

_CANCEL = b"*"  # RFC 4954 section 4
_PREFERRED = (b"PLAIN", b"LOGIN", b"CRAM-MD5")
_PREFERRED_IN_CLEAR = (b"CRAM-MD5", b"PLAIN", b"LOGIN")


async def log_in(connection: Connection, login: Login) -> Reply | None:
    """Log in with the settings' user and password; None on success, else the upstream's refusal (phase AUTH).

    A password never crosses a network in clear: without TLS this goes to a loopback address only.
    """
    server = connection.server
    if not connection.secure and not is_loopback(server.host):
        return reply_for(Fault.TLS_NOT_OFFERED, Phase.AUTH, server.name, f"the way to {server.name} is not encrypted")
    mechanism = _choose(connection, login)
    if mechanism is None:
        return reply_for(Fault.AUTH_NO_MECHANISM, Phase.AUTH, server.name)
    first, answers = _EXCHANGES[mechanism](login)
    said = [first]
    reply = await connection.ask(b"AUTH " + mechanism + (b" " + first if first else b""), Phase.AUTH)
    for answer in answers:
        if reply.code != 334:
            break
        said.append(answer(reply.lines[0]))
        reply = await connection.ask(said[-1], Phase.AUTH)
    if reply.code == 334:  # more questions than the mechanism has; an empty line also ends a refused XOAUTH2
        said.append(b"" if mechanism == b"XOAUTH2" else _CANCEL)
        reply = await connection.ask(said[-1], Phase.AUTH)
    if reply.code == 334:  # it would ask for ever
        connection.abort()
    cancelled = said[-1] == _CANCEL and reply.fault is None  # by us: nobody has judged the password
    # The words of a garbled reply may repeat a secret, cut off in its middle.
    if cancelled or reply.code == 334 or reply.fault is Fault.GARBLED:
        return reply_for(Fault.GARBLED, Phase.AUTH, server.name)
    return None if reply.ok else without_secrets(reply, (*said, login.password.encode()), login.user)


def _choose(connection: Connection, login: Login) -> bytes | None:
    if login.mechanism != "auto":
        return login.mechanism.upper().encode()
    offered = connection.capabilities.mechanisms
    order = _PREFERRED if connection.secure else _PREFERRED_IN_CLEAR
    return next((mechanism for mechanism in order if mechanism in offered), None)


Step = tuple[bytes, "tuple[Callable[[bytes], bytes], ...]"]


def _plain(login: Login) -> Step:
    return auth_plain_encode(login.user, login.password), ()


def _login(login: Login) -> Step:
    user, password = auth_login_encode(login.user, login.password)
    return b"", (lambda _: user, lambda _: password)


def _cram_md5(login: Login) -> Step:
    def answer(challenge: bytes) -> bytes:
        try:
            return auth_crammd5_verify(login.user, login.password, challenge)
        except SMTPAuthenticationError:
            return _CANCEL  # the challenge is not base64

    return b"", (answer,)


def _xoauth2(login: Login) -> Step:
    return auth_xoauth2_encode(login.user, login.password), ()


# mechanism -> the initial response, and an answer to each challenge after it
_EXCHANGES: dict[bytes, Callable[[Login], Step]] = {
    b"PLAIN": _plain,
    b"LOGIN": _login,
    b"CRAM-MD5": _cram_md5,
    b"XOAUTH2": _xoauth2,
}
