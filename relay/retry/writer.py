"""Writes the relay's own letters: puts together what a bounce or a notice needs to know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from relay.explain.failure import Failure
from relay.retry.bounce import Report, Told, compose, header_of, parameters_of, wants_whole
from relay.retry.dots import stuffed, unstuffed
from relay.retry.letter import Kind, Letter, Recipient, new_id
from relay.smtp import Phase, Reply
from relay.smtp.command import Path

if TYPE_CHECKING:
    from relay.explain.book import Book
    from relay.retry.spool import Spool

_RETURNED_OCTETS = 1 << 20  # of a larger message only the header comes back
_NOT_TRIED = Reply(Phase.MAIL, 250)


@dataclass(frozen=True, slots=True)
class Writer:
    """Who the relay is, and in whose words it speaks."""

    book: Book
    hostname: str
    upstream: str
    max_age: float
    own_login: bool = False  # whether the relay logs in itself

    async def write(
        self, kind: Kind, letter: Letter, about: tuple[Recipient, ...], spool: Spool, *, bare: bool = False
    ) -> tuple[Letter, bytes]:
        """A bounce or a notice, and its octets as they go behind DATA; `bare` without anything of the original."""
        whole = wants_whole(letter.sender) and letter.size <= _RETURNED_OCTETS and not bare
        original = b"" if bare else unstuffed(await _beginning(spool, letter, whole=whole))
        now = datetime.now(UTC)
        arrived = now - timedelta(seconds=letter.age)
        report = Report(
            id=new_id(),
            letter=letter,
            told=tuple(Told(each, self.book.explain(self._failure(letter, each))) for each in about),
            original=original if whole else header_of(original),
            reporter=self.hostname,
            upstream=self.upstream,
            now=now,
            arrived=arrived,
            until=arrived + timedelta(seconds=self.max_age) if kind is Kind.NOTICE else None,
        )
        message = compose(report)
        octets = stuffed(message)
        sender = Path(b"<>", parameters_of(message, utf8=letter.sender.utf8))
        to = Recipient(0, Path(letter.sender.octets), _NOT_TRIED)
        # Where the upstream wants a login, that of the mail it is about is the only one there is.
        return Letter(report.id, kind, sender, len(octets), (to,), login=letter.login), octets

    def _failure(self, letter: Letter, about: Recipient) -> Failure:
        return Failure(
            about.said,
            upstream=self.upstream,
            sender=letter.sender.address,
            recipient=about.path.address,
            own_login=self.own_login and letter.login is None,
            size=letter.size,
            utf8=letter.sender.utf8,
            tries=letter.attempts + 2,  # once live, and this one
            tried_seconds=letter.age,
        )


async def _beginning(spool: Spool, letter: Letter, *, whole: bool) -> bytes:
    """The octets of a letter: all, or as far as a header goes."""
    octets = b""
    async for piece in spool.octets(letter):
        octets += piece
        if not whole:
            break
    return octets
