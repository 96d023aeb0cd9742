"""Starts are spaced evenly, and nobody starts while the server has asked for a pause."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, RunRequest


class Pace:
    """When the next request may start, for one endpoint.

    Args:
        rate: Requests per second; None for no limit of our own.
    """

    def __init__(
        self,
        rate: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._clock = clock
        self._sleep = sleep
        self._next_start = 0.0
        self._paused_until = 0.0

    async def turn(self) -> float:
        """Returns when the caller may start, with the seconds it waited."""
        arrived = now = self._clock()
        while True:
            start = max(now, self._next_start, self._paused_until)
            self._next_start = start + self._interval
            while now < start:
                await self._sleep(start - now)
                now = self._clock()
            if now >= self._paused_until:
                return now - arrived

    @property
    def paused_s(self) -> float:
        """Seconds of pause still to come."""
        return max(0.0, self._paused_until - self._clock())

    def pause(self, seconds: float) -> None:
        """Nobody starts within the next ``seconds``; the longest pause asked for holds."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)


def rate_limit(send: Send, pace: Pace) -> Send:
    """Wraps ``send`` so that it keeps the pace, and learns from Retry-After."""

    async def paced(request: RunRequest) -> ChatResponse:
        waited = await pace.turn()
        if waited:
            request.journal.wait("rate_limit", waited)
        try:
            return await send(request)
        except BackendError as error:
            if error.retry_after:
                pace.pause(error.retry_after)
            raise

    return paced
