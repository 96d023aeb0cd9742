"""Calls that are late by microseconds: an event loop's own timers are by up to 1 ms."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_EARLY_S = 0.002


class ExactTimers:
    """The last milliseconds are spun away, for which the server has a core of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.spinning = False

    @staticmethod
    def now() -> float:
        return time.monotonic()

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        at = self.now() + seconds
        heapq.heappush(self.due, (at, next(self.order), call))
        self.loop.call_later(max(0.0, seconds - _EARLY_S), self.wake)

    def wake(self) -> None:
        if not self.spinning:
            self.spinning = True
            self.spin()

    def spin(self) -> None:
        if self.due and self.due[0][0] <= self.now():
            heapq.heappop(self.due)[2]()  # one a turn, so that requests are read between answers
        self.spinning = bool(self.due) and self.due[0][0] - self.now() < 2 * _EARLY_S
        if self.spinning:
            self.loop.call_soon(self.spin)
