"""The letters that this process has taken out of the spool and delivers, and whether they are still its own.

A claim is a lease: it is prolonged while the letter is under way, and whoever finds that it has ended takes the letter
over. So before its final dot a letter must be known to be ours; once that may have left, it is not given back.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from relay.retry.spool import Spool


class LeaseLostError(OSError):
    """A letter may be another relay's by now."""


@dataclass(slots=True)
class _Claim:
    """One letter under way."""

    delivery: asyncio.Task[None]
    lost: bool = False  # another relay has taken the letter over
    dot_sent: bool = False  # its final dot may be on its way


class Claims:
    """All letters under way in one process; `lease` is in seconds, as the spool's."""

    def __init__(self, spool: Spool, lease: float) -> None:
        self._spool = spool
        self._lease = lease
        self._claims: dict[str, _Claim] = {}
        self._kept_at = time.monotonic()

    def __len__(self) -> int:
        return len(self._claims)

    def __contains__(self, letter_id: str) -> bool:
        return letter_id in self._claims

    def begin(self, letter_id: str, delivery: Coroutine[Any, Any, None], ended: Callable[[], None]) -> None:
        """Deliver a letter that was taken out; `ended` is called when that is over."""
        task = asyncio.create_task(delivery, name=f"letter {letter_id}")
        self._claims[letter_id] = _Claim(task)

        def done(_: asyncio.Task[None]) -> None:
            del self._claims[letter_id]
            ended()

        task.add_done_callback(done)

    async def prolong(self) -> None:
        """Prolong every lease, and learn which letters are not ours any more."""
        now = time.monotonic()
        if self._claims:
            asked = dict(self._claims)
            ours = await self._spool.keep_claim(asked)
            for letter_id in asked.keys() - ours:
                asked[letter_id].lost = True
        self._kept_at = now

    def before_dot(self, letter_id: str) -> None:
        """To be called before the final dot of a letter leaves.

        Raises:
            LeaseLostError: it may be another relay's, for the database or this process stood still.
        """
        claim = self._claims[letter_id]
        if claim.lost or time.monotonic() - self._kept_at > self._lease:
            raise LeaseLostError("the lease of a letter ended before its final dot")
        claim.dot_sent = True

    async def end(self, seconds: float) -> set[str]:
        """Let letters under way arrive for so long, then stop them; the ids of those that may be given back.

        One whose final dot may have left is not among them: whoever takes it over when its lease ends will say so.
        """
        if self._claims:
            await asyncio.wait([claim.delivery for claim in self._claims.values()], timeout=seconds)
        left = dict(self._claims)
        for claim in left.values():
            claim.delivery.cancel()
        unsent = {letter_id for letter_id, claim in left.items() if not claim.dot_sent}
        await asyncio.gather(*(claim.delivery for claim in left.values()), return_exceptions=True)
        return unsent
