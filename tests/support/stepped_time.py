from __future__ import annotations

import asyncio
import heapq
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Time:
    """A clock that moves on when everybody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), turn))
        await turn

    def run(self, *actions: Coroutine[object, object, object]) -> None:
        async def main() -> None:
            tasks = [asyncio.ensure_future(action) for action in actions]
            while not all(task.done() for task in tasks):
                await self._quiet()
                if self._sleepers:
                    until, _, turn = heapq.heappop(self._sleepers)
                    if not turn.done():  # one that was cancelled moves no clock
                        self.now = max(self.now, until)
                        turn.set_result(None)
            await asyncio.gather(*tasks)

        asyncio.run(main())

    @staticmethod
    async def _quiet() -> None:
        """Returns when nobody has anything left to do but to sleep."""
        await asyncio.sleep(0)
        while asyncio.get_running_loop()._ready:  # type: ignore[attr-defined]
            await asyncio.sleep(0)
