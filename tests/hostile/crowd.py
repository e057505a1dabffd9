"""Hundreds of clients at once, each a task: the good, the refused, and those that misbehave.

Run as a program it is a mob: `crowd.py HOST PORT SIZE`, until it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import struct
import sys
from typing import TYPE_CHECKING, Self

import pytest
from hostile_client import checked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from running_client import Answer

FULL = bool(os.environ.get("HOSTILE_FULL"))  # `make hostile`: all in full size, with figures
Address = tuple[str, int]
SECONDS = 60.0  # no reply may take longer, however loaded the machine is


class Guest:
    """One client among many."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def come(cls, address: Address) -> Self:
        async with asyncio.timeout(SECONDS):
            return cls(*await asyncio.open_connection(*address))

    async def hear(self) -> Answer:
        async with asyncio.timeout(SECONDS):
            lines = [await self.reader.readuntil(b"\r\n")]
            while lines[-1][3:4] == b"-":
                lines.append(await self.reader.readuntil(b"\r\n"))
        return checked(b"".join(lines))

    async def ask(self, line: str) -> Answer:
        self.writer.write(line.encode() + b"\r\n")
        return await self.hear()

    async def greet(self) -> None:
        assert (await self.hear()).code == 220
        assert (await self.ask("EHLO client.example")).code == 250

    async def send_mail(self, recipient: str, message: str = "Subject: x\r\n\r\nHello.\r\n") -> Answer:
        """A mail to its end; the first refusal, or the verdict."""
        for line in ("MAIL FROM:<me@here.example>", f"RCPT TO:<{recipient}>", "DATA"):
            if (answer := await self.ask(line)).code >= 400:
                return answer
        return await self.ask(message + ".")

    async def leave(self) -> None:
        """Say goodbye."""
        assert (await self.ask("QUIT")).code == 221
        await self.close()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def vanish(self) -> None:
        """Be gone, with an RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def all_of(work: Iterable[Awaitable[None]], at_once: int) -> None:
    """Do all of it, so many at a time; the first failure ends it."""
    gate = asyncio.Semaphore(at_once)

    async def one(each: Awaitable[None]) -> None:
        async with gate:
            await each

    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(one(each))


def need_descriptors(count: int) -> None:
    """Raise this process's limit (and with it the relay's, when it is started later), or skip the test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"needs {count} open files, and this system allows {hard}")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


# -- those that misbehave, for as long as they are let


async def _says_nothing(guest: Guest) -> None:
    await guest.reader.read()


async def _trickles(guest: Guest) -> None:
    while True:
        for octet in b"MAIL FROM:<slow@here.example>\r\nRSET\r\n":
            guest.writer.write(bytes([octet]))
            await guest.writer.drain()
            await asyncio.sleep(0.02)


async def _never_reads(guest: Guest) -> None:
    guest.writer.transport.pause_reading()
    while True:
        guest.writer.write(b"HELP\r\n" * 1000)
        await guest.writer.drain()


async def _floods(guest: Guest) -> None:
    while True:
        guest.writer.write(b"NOOP\r\n" * 200)
        await guest.writer.drain()
        await guest.reader.read(1 << 16)


async def _sends_rubbish(guest: Guest) -> None:
    while not guest.reader.at_eof():
        guest.writer.write(bytes(range(256)) * 4)
        await guest.writer.drain()
        await guest.reader.read(1 << 16)


async def _says_an_endless_line(guest: Guest) -> None:
    while not guest.reader.at_eof():
        guest.writer.write(b"x" * 4096)
        await guest.writer.drain()
        await asyncio.sleep(0.02)


async def _stops_in_the_message(guest: Guest) -> None:
    guest.writer.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nSubject: half")
    await guest.reader.read()


async def _names_recipients(guest: Guest) -> None:
    guest.writer.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\n")
    while True:
        guest.writer.write(b"RCPT TO:<c@d.example>\r\n" * 20)
        await guest.writer.drain()
        await guest.reader.read(1 << 16)


async def _greets_in_a_loop(guest: Guest) -> None:
    while True:
        guest.writer.write(b"EHLO x\r\n" * 20)
        await guest.writer.drain()
        await guest.reader.read(1 << 16)


async def _guesses_passwords(guest: Guest) -> None:
    guest.writer.write(b"EHLO x\r\n" + b"AUTH PLAIN AGFubmEAd3Jvbmc=\r\n" * 50)
    await guest.reader.read()


async def _speaks_http(guest: Guest) -> None:
    guest.writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await guest.reader.read()


KINDS = (
    _says_nothing,
    _trickles,
    _never_reads,
    _floods,
    _sends_rubbish,
    _says_an_endless_line,
    _stops_in_the_message,
    _names_recipients,
    _greets_in_a_loop,
    _guesses_passwords,
    _speaks_http,
)


async def misbehave(address: Address, number: int) -> None:
    """Misbehave in the way of this number, again and again, until cancelled."""
    kind = KINDS[number % len(KINDS)]
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            guest = await Guest.come(address)
            try:
                await kind(guest)
            finally:
                guest.vanish()
        await asyncio.sleep(0.1)


async def _mob(address: Address, size: int) -> None:
    await all_of((misbehave(address, number) for number in range(size)), size)


if __name__ == "__main__":
    need_descriptors(int(sys.argv[3]) + 100)
    asyncio.run(_mob((sys.argv[1], int(sys.argv[2])), int(sys.argv[3])))
