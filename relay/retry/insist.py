"""Writing down what has already happened: where the database does not take it, it is tried again for some seconds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_PAUSES_SECONDS = (0.1, 0.5, 2.0, 5.0)  # the database may be started anew meanwhile


async def insist(write: Callable[[], Awaitable[None]], trouble: Callable[[Exception], None]) -> None:
    """Write; `trouble` is told of each attempt that failed and is followed by another.

    Raises:
        SQLAlchemyError, OSError: the last attempt failed too.
    """
    for seconds in _PAUSES_SECONDS:
        try:
            await write()
        except (SQLAlchemyError, OSError) as error:
            trouble(error)
            await asyncio.sleep(seconds)
        else:
            return
    await write()
