"""`relay run`: the relay itself, until it is told to stop."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from relay.cli.flags import (
    ConfigFlag,
    ListenFlag,
    LogFileFlag,
    LogFormatFlag,
    PracticeFlag,
    SetFlag,
    UpstreamFlag,
    gathered,
    refuse,
    settings_or_exit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from relay.config import Flags, Settings


def run(  # noqa: PLR0913 -- a parameter for each flag
    *,
    config: ConfigFlag = None,
    listen: ListenFlag = None,
    upstream: UpstreamFlag = None,
    practice: PracticeFlag = False,
    log_format: LogFormatFlag = None,
    log_file: LogFileFlag = None,
    set_: SetFlag = None,
) -> None:
    """Start the relay. SIGTERM stops it when the mail in flight is done; SIGHUP reads settings and book again."""
    from relay.config import Flags

    flags = Flags(tuple(listen or ()), upstream, practice, log_format, log_file, tuple(set_ or ()))
    try:
        _loop_runner()(_run(config, flags))
    except KeyboardInterrupt:  # a second Ctrl-C while draining
        raise typer.Exit(130) from None


async def _run(config: Path | None, flags: Flags) -> None:
    if not flags.practice:
        await _serve(config, flags)
        return
    from relay.practice import start

    server = await start()
    host, port = server.address
    try:
        await _serve(config, replace(flags, upstream=f"smtp+plain://{host}:{port}"))
    finally:
        await server.close()


async def _serve(config: Path | None, flags: Flags) -> None:
    from relay.app import serve
    from relay.record.log import start_log

    settings = settings_or_exit(gathered(config, flags))
    log_format = settings.log.format or ("console" if _on_a_terminal(settings) else "json")
    try:
        writer = start_log(style=log_format, file=settings.log.file, level=settings.log.level)
    except OSError as error:
        refuse(error)

    def reload() -> Settings:
        writer.reopen()
        return gathered(config, flags).settings()

    def ready(addresses: tuple[str, ...]) -> None:
        _announce(settings, addresses)

    try:
        await serve(settings, reload, ready)
    except OSError as error:
        refuse(OSError(f"the relay cannot listen: {error}"))
    except ValueError as error:  # the book holds mistakes
        refuse(error)
    finally:
        writer.stop()


def _announce(settings: Settings, addresses: tuple[str, ...]) -> None:
    """Say on standard error, and in the log if that is elsewhere, that the relay serves, and where."""
    import structlog

    upstream = settings.upstream.url.place if settings.upstream.url else ""
    structlog.get_logger().info("relay_ready", listen=list(addresses), upstream=upstream)
    if settings.log.file is not None:
        typer.echo(f"relay_ready listen={','.join(addresses)} upstream={upstream}", err=True)


def _on_a_terminal(settings: Settings) -> bool:
    import sys

    return settings.log.file is None and sys.stderr.isatty()


def _loop_runner() -> Callable[[Coroutine[Any, Any, None]], None]:
    import asyncio

    try:
        import uvloop
    except ImportError:  # Windows, PyPy
        return asyncio.run
    return uvloop.run
