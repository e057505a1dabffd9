"""A practice upstream for each test, and what it reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from relay.practice import PracticeServer, start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture
async def reports() -> list[str]:
    return []


@pytest_asyncio.fixture
async def practice(reports: list[str]) -> AsyncIterator[PracticeServer]:
    server = await start(report=reports.append, slow_seconds=0.05)
    yield server
    await server.close()
