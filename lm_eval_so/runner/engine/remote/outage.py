"""A server that is away, as all workers see it: one probes, the others hold."""

import asyncio
import time
from collections.abc import Callable

from lm_eval_so.runner.engine.coordinator.outage import Away, Order
from lm_eval_so.runner.engine.remote.port import Port, surely
from lm_eval_so.runner.errors import APIConnectionError
from lm_eval_so.runner.strategy.breaker.outage_guard import OutageGuard
from lm_eval_so.runner.strategy.retry import StoppedError


class RemoteProbes:
    """See `Probes`: the coordinator says who probes, in answers to reports and to heartbeats.

    Args:
        port: To the coordinator.
        beat_soon: Tells it of a sign of life.
        leave: Ends this worker, since others are answered.
        clock: Seconds; never goes back.

    Attributes:
        guard: Of this worker.
        reports: Reports so far; an order that crossed one is old.
    """

    guard: OutageGuard

    def __init__(
        self,
        port: Port,
        *,
        beat_soon: Callable[[], None],
        leave: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self.back = beat_soon
        self._leave = leave
        self._clock = clock
        self._order = Order()
        self._probe_at = 0.0
        self._changed = asyncio.Event()
        self._reporting = False
        self.reports = 0

    async def turn(self, words: str, *, has_failed: bool) -> bool:
        if has_failed:
            await self._report(words)
        while (away := self._order.away) is not Away.GO:
            if away is Away.LEAVE:
                self._leave()
                raise StoppedError
            wait = self._probe_at - self._clock() if away is Away.PROBE else None
            if wait is not None and wait <= 0:
                return True
            await self._order_changes(wait)
        return False

    def told(self, order: Order, reports: int) -> None:
        """Takes the order of a heartbeat.

        Args:
            order: What to do.
            reports: Those made when the heartbeat left.
        """
        if self._reporting or reports != self.reports:
            return
        self._take(order)
        if order.away is Away.GO:
            self.guard.resume()
        elif order.away is Away.LEAVE:
            self._leave()
        else:
            self.guard.hold(APIConnectionError("other workers find the server away"))

    async def _report(self, words: str) -> None:
        self._reporting = True
        try:
            self._take(await surely(lambda: self._port.away(words)))
        finally:
            self._reporting = False
            self.reports += 1

    def _take(self, order: Order) -> None:
        self._order, self._probe_at = order, self._clock() + order.in_s
        self._changed.set()

    async def _order_changes(self, seconds: float | None) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
