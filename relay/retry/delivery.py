"""One letter over one connection: what is said of each of its recipients. A 2xx is a delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relay.retry.letter import Kind
from relay.smtp import Fault, Phase, Reply
from relay.smtp.extensions import HINTS_LATER, as_offered, said_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from relay.retry.letter import Letter, Recipient
    from relay.smtp.capabilities import Capabilities
    from relay.upstream.carrier import Carrier

Said = dict[int, Reply]  # the number of a recipient -> the last reply about it


async def deliver(
    carrier: Carrier, letter: Letter, pieces: AsyncIterator[bytes], before_dot: Callable[[], None]
) -> Said:
    """Send it; every recipient of the letter is in the answer. `before_dot` raises where it must not be sent after all.

    What is raised, by it or by `pieces`, leaves the connection in the middle of the message.
    """
    offered = carrier.connection.capabilities
    mail = await carrier.say(b"MAIL FROM:" + _sender(letter, offered), Phase.MAIL)
    if not mail.ok:
        if letter.kind is Kind.MAIL:  # it was kept when more was offered
            mail = as_offered(mail, letter.sender, offered, None, carrier.connection.server.name, hints=HINTS_LATER)
        return _all(letter.recipients, mail)
    carrier.connection.messages += 1
    said = await _name(carrier, letter)
    accepted = tuple(each for each in letter.recipients if said[each.number].ok)
    return said | _all(accepted, await _send(carrier, letter.size, pieces, before_dot)) if accepted else said


def _sender(letter: Letter, offered: Capabilities) -> bytes:
    """The sender: a client's as it came, but for hints; of a letter of ours, with what the upstream knows."""
    if letter.kind is Kind.MAIL:
        return said_to(offered, letter.sender, HINTS_LATER)
    known = (word for word in letter.sender.parameters.split() if word.removeprefix(b"BODY=") in offered)
    return b" ".join((letter.sender.octets, *known))


async def _name(carrier: Carrier, letter: Letter) -> Said:
    """RCPT for each, all at once where the upstream takes them so (RFC 2920)."""
    offered = carrier.connection.capabilities
    lines = [(each.number, b"RCPT TO:" + said_to(offered, each.path, HINTS_LATER)) for each in letter.recipients]
    if b"PIPELINING" not in offered:
        return {number: await carrier.say(line, Phase.RCPT) for number, line in lines}
    asked = [(number, carrier.say(line, Phase.RCPT)) for number, line in lines]
    return {number: await reply for number, reply in asked}


async def _send(carrier: Carrier, whole: int, pieces: AsyncIterator[bytes], before_dot: Callable[[], None]) -> Reply:
    agreed = await carrier.say(b"DATA", Phase.DATA)
    if not agreed.ok:
        return agreed
    last = end = b""
    size = 0
    async for piece in pieces:
        await carrier.pour(last)
        last, end = piece, (end + piece)[-3:]
        size += len(piece)
    before_dot()
    if size != whole or end != b".\r\n":  # the final dot must not be said of a part as if it were the whole
        carrier.connection.abort(Fault.BUG, "the letter in the spool is not complete")
    return await carrier.finish(last)


def _all(recipients: tuple[Recipient, ...], reply: Reply) -> Said:
    return {each.number: reply for each in recipients}
