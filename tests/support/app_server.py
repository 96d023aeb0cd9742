"""An application of aiohttp on a socket, in a process that goes on after it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

if TYPE_CHECKING:
    import socket
    from ssl import SSLContext


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


async def serve_app(
    app: web.Application,
    listener: socket.socket,
    closing: asyncio.Event,
    tls: SSLContext | None = None,
) -> None:
    """Serves until it is asked to end, and leaves no socket open."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.SockSite(runner, listener, backlog=1024, ssl_context=tls).start()
    await closing.wait()
    await let_nobody_in(listener)
    await runner.cleanup()


async def let_nobody_in(listener: _HasFileno) -> None:
    """Accepts no connection from now on; returns when those that were accepted are there.

    asyncio loses the socket of a connection that it has accepted when its server is closed.
    """
    asyncio.get_running_loop().remove_reader(listener)
    for _ in range(3):
        await asyncio.sleep(0)
