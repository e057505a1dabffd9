"""Writing down what has already happened: where the database does not take it, it is tried again."""

from __future__ import annotations

import asyncio
from itertools import chain, repeat
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_PAUSES_SECONDS = (0.1, 0.5, 2.0, 5.0)  # the database may be started anew meanwhile


async def insist(
    write: Callable[[], Awaitable[None]], trouble: Callable[[Exception], None], *, endless: bool = False
) -> None:
    """Write; `trouble` is told of each attempt that failed and is followed by another, after some seconds.

    Raises:
        SQLAlchemyError, OSError: the last attempt failed too; there is none if it is `endless`.
    """
    for seconds in chain(_PAUSES_SECONDS, repeat(_PAUSES_SECONDS[-1]) if endless else ()):
        try:
            await write()
        except (SQLAlchemyError, OSError) as error:
            trouble(error)
            await asyncio.sleep(seconds)
        else:
            return
    await write()
