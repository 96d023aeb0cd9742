"""Tells when the next request of a run may start."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple

from lm_eval_so.runner.backends.http.limit_headers import read_limits
from lm_eval_so.runner.strategy.rate_limit.changes import Started
from lm_eval_so.runner.strategy.rate_limit.limits import Limits, Want

_LONGEST_SLEEP = 1.0  # seconds after which one looks again, since what is waited for can change


class Grant(NamedTuple):
    """A start that was granted.

    Attributes:
        began: When, on the limiter's clock.
        waited: Seconds for a limit; exactly 0 where there was no need to.
        tokens: Taken by estimate; 0 where no limit on tokens is known.
        marks: What `Bucket.take` returned, by unit.
    """

    began: float
    waited: float
    tokens: float
    marks: Mapping[str, float]


class RateLimiter:
    """Lets requests start within the limits; first come, first served.

    Args:
        rate: Requests per second, evenly spaced; None for no such limit.
        per_minute: Limits on ``requests`` and ``tokens``; one that is None is learned.
        limits: Shared with other runs; their clock is used.
        clock: Seconds; never goes back. For limits of its own.
        sleep: For so many seconds.
    """

    def __init__(
        self,
        rate: float | None = None,
        *,
        per_minute: Mapping[str, float | None] | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._limits = limits or Limits(clock)
        self._clock = self._limits.clock
        self._sleep = sleep
        self._turnstile = asyncio.Lock()
        self._waiting: deque[Want] = deque()
        for unit, limit in (per_minute or {}).items():
            self._limits.configure(unit, limit)

    @property
    def per_minute(self) -> dict[str, float]:
        """The limits in force, by unit."""
        return self._limits.per_minute

    @property
    def counts_tokens(self) -> bool:
        """Whether a limit on tokens is known."""
        return self._limits.counts_tokens

    async def acquire(self, tokens: float = 0.0) -> Grant:
        """Waits until the caller may start.

        Args:
            tokens: What it will take of the limit on tokens, by estimate.

        Raises:
            StoreError: The file through which processes share the limits cannot be written.
        """
        want = Want(self._clock(), {"requests": 1.0, "tokens": tokens})
        if not self._waiting and self._wait(want) <= 0:
            return self._start(want, slept=False)
        self._waiting.append(want)
        try:
            return await self._queue(want)
        finally:
            self._waiting.remove(want)

    def correct(self, grant: Grant, tokens: float | None) -> None:
        """Replaces the estimate by what the answer took; a learned limit counts that already."""
        if "tokens" not in grant.marks or tokens is None:
            return
        self._limits.correct(grant.tokens - tokens)

    def learn(self, grant: Grant, headers: Mapping[str, str]) -> None:
        """Learns the limits that answer headers give, where none is configured."""
        found = read_limits(headers)
        if found:
            self._limits.learn(found, Started(grant.began, grant.marks))

    @property
    def paused_s(self) -> float:
        """Seconds of pause still to come."""
        return max(0.0, self._limits.paused_until - self._clock())

    def pause(self, seconds: float) -> None:
        """Starts nothing within the next ``seconds``; the longest pause counts."""
        self._limits.pause(self._clock() + seconds)

    async def _queue(self, want: Want) -> Grant:
        slept = self._turnstile.locked()
        async with self._turnstile:
            slept |= await self._limits.prepare(self._usable(), self._interval)
            while (wait := self._wait(want)) > 0:
                await self._sleep(min(wait, _LONGEST_SLEEP))
                await self._limits.prepare(self._usable(), self._interval)
                slept = True
            return self._start(want, slept=slept)

    def _usable(self) -> Collection[Want]:
        """Who may get a start now, the next one first."""
        return self._waiting

    def _wait(self, want: Want) -> float:
        """Seconds until ``want`` may start or should ask again."""
        return self._limits.wait(want)

    def _start(self, want: Want, *, slept: bool) -> Grant:
        slot = self._limits.start(want, self._interval)
        now = self._clock()
        waited = now - want.since if slept and self._limits.held_back else 0.0
        return Grant(now, waited, want.amounts["tokens"], slot.marks)
