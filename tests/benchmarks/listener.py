"""A listening socket that can go away and come back on the same port."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_PERIOD_S = 0.05
_HOST = "127.0.0.1"


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((_HOST, port))
    return made


class Listener:
    """Listens on a port that stays ours: a second socket is bound to it, and never listens."""

    def __init__(self, connection: Callable[[], asyncio.Protocol]) -> None:
        self.connection = connection
        self.held = _bound(0)
        self.port: int = self.held.getsockname()[1]
        self.server: asyncio.Server | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(
            self.connection, sock=_bound(self.port), backlog=4096
        )

    def close(self) -> None:
        """New connections are refused; open ones stay."""
        if self.server:
            self.server.close()
            self.server = None

    async def flicker(self, share: float, chance: random.Random) -> None:
        """Is closed for ``share`` of the time, without end.

        Both lengths are drawn from exponential distributions, so that no client falls into step.
        """
        while True:
            await asyncio.sleep(chance.expovariate(1 / ((1 - share) * _PERIOD_S)))
            self.close()
            await asyncio.sleep(chance.expovariate(1 / (share * _PERIOD_S)))
            await self.open()
