"""Leave is taken of every kept connection when the relay stops."""

from __future__ import annotations

import asyncio


async def test_every_kept_connection_hears_quit():
    from dialog_player import Upstream, running_relay  # noqa: PLC0415 -- found only after conftest has set the path

    upstream = Upstream()
    place = await upstream.listen()
    async with running_relay(place) as (relay, _):
        opening = [asyncio.create_task(relay.service.pool.open()) for _ in range(2)]
        for _ in opening:
            end = await upstream.accept()
            end.say(b"220 upstream.test\r\n")
            await end.flush()
            assert await end.line() == b"EHLO relay.test"
            end.say(b"250 upstream.test\r\n")
            await end.flush()
        for connection in await asyncio.gather(*opening):
            relay.service.pool.give_back(connection)
        leaving = [asyncio.create_task(end.farewell()) for end in upstream.ends]
    upstream.down()
    assert await asyncio.gather(*leaving) == [b"QUIT\r\n", b"QUIT\r\n"]
