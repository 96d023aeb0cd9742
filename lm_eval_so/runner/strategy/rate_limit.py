"""Requests and tokens are kept within their limits, and a pause that the server asks for is kept.

Limits are configured, or learned from the headers of the answers.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy.bucket import Bucket
from lm_eval_so.runner.strategy.limit_headers import read_limits
from lm_eval_so.runner.strategy.limits import Limits, SharedLimits
from lm_eval_so.runner.strategy.pauses import Pauses
from lm_eval_so.runner.strategy.tokens import TokenEstimate

_MINUTE = 60


class Turn(NamedTuple):
    """A start that was granted.

    Attributes:
        began: When, on the pace's clock.
        waited: Seconds.
        tokens: Taken, by estimate; 0 where no limit on tokens is known.
        marks: What `Bucket.take` returned, by unit.
    """

    began: float
    waited: float
    tokens: float
    marks: Mapping[str, float]


class Pace:
    """When the next request of a run may start; who comes first goes first.

    Args:
        rate: Requests per second, evenly spaced; None for no such limit.
        per_minute: Limits on ``requests`` and ``tokens``; one that is None is learned.
        limits: Shared with other runs.
    """

    def __init__(
        self,
        rate: float | None = None,
        *,
        per_minute: Mapping[str, float | None] | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._limits = limits or Limits()
        self._clock = clock or self._limits.clock
        self._sleep = sleep
        self._turnstile = asyncio.Lock()
        with self._limits:
            for unit, limit in (per_minute or {}).items():
                self._configure(unit, limit)

    @property
    def per_minute(self) -> dict[str, float]:
        """The limits in force, by unit."""
        buckets = self._limits.buckets.items()
        return {unit: round(bucket.per_second * _MINUTE, 1) for unit, bucket in buckets}

    @property
    def counts_tokens(self) -> bool:
        """Whether a limit on tokens is known."""
        return "tokens" in self._limits.buckets

    async def turn(self, tokens: float = 0.0) -> Turn:
        """Returns when the caller may start.

        Args:
            tokens: What it will take of the limit on tokens, by estimate.
        """
        arrived = self._clock()
        amounts = {"requests": 1.0, "tokens": tokens}
        if not self._turnstile.locked():
            turn = self._try(arrived, amounts)
            if isinstance(turn, Turn):
                return turn
        async with self._turnstile:
            while not isinstance(turn := self._try(arrived, amounts), Turn):
                await self._sleep(turn)
            return turn

    def correct(self, turn: Turn, tokens: float | None) -> None:
        """Exchanges the estimate for what the answer took.

        What a provider tells counts that already.
        """
        if "tokens" not in turn.marks or tokens is None:
            return
        with self._limits:
            bucket = self._limits.buckets.get("tokens")
            if bucket and not bucket.learned:
                bucket.give_back(turn.tokens - tokens)

    def learn(self, turn: Turn, headers: Mapping[str, str]) -> None:
        """Takes over the limits that an answer tells, where none is configured."""
        found = read_limits(headers)
        if not found:
            return
        with self._limits:
            for unit, told in found.items():
                now = self._clock()
                bucket = self._limits.buckets.get(unit)
                if bucket is None:
                    bucket = Bucket(told.per_second, now, learned=True)
                    self._limits.buckets[unit] = bucket
                if bucket.learned:
                    mark = turn.marks.get(unit, 0.0)
                    bucket.learn(*told, mark=mark, began=turn.began, now=now)

    @property
    def paused_s(self) -> float:
        """Seconds of pause still to come."""
        return max(0.0, self._limits.paused_until - self._clock())

    def pause(self, seconds: float) -> None:
        """Nobody starts within the next ``seconds``; the longest pause asked for holds."""
        with self._limits:
            self._limits.paused_until = max(self._limits.paused_until, self._clock() + seconds)

    def _configure(self, unit: str, limit: float | None) -> None:
        """The latest run's limits hold for all that share them; what was learned stays."""
        known = self._limits.buckets.get(unit)
        if limit is None:
            if known and not known.learned:
                del self._limits.buckets[unit]
        elif known is None or known.learned or known.per_second != limit / _MINUTE:
            self._limits.buckets[unit] = Bucket(limit / _MINUTE, self._clock())

    def _try(self, arrived: float, amounts: Mapping[str, float]) -> Turn | float:
        """The turn, or the seconds to wait before the next try."""
        with self._limits:
            now = self._clock()
            wait = self._wait(now, amounts)
            return wait if wait > 0 else self._start(arrived, now, amounts)

    def _wait(self, now: float, amounts: Mapping[str, float]) -> float:
        limits = self._limits
        wait = max(limits.next_start, limits.paused_until) - now
        for unit, bucket in limits.buckets.items():
            wait = max(wait, bucket.wait(now, amounts[unit]))
        return max(0.0, wait)

    def _start(self, arrived: float, now: float, amounts: Mapping[str, float]) -> Turn:
        limits = self._limits
        limits.next_start = max(now, limits.next_start) + self._interval
        buckets = limits.buckets.items()
        marks = {unit: bucket.take(now, amounts[unit]) for unit, bucket in buckets}
        return Turn(now, now - arrived, amounts["tokens"], marks)


def rate_limit(send: Send, pace: Pace, pauses: Pauses, tokens: TokenEstimate) -> Send:
    """Wraps ``send`` so that it keeps the pace, and learns from what the server says."""

    async def paced(request: RunRequest) -> ChatResponse:
        size = tokens.size(request) if pace.counts_tokens else 0
        turn = await pace.turn(tokens.of(size))
        if turn.waited:
            request.journal.wait("rate_limit", turn.waited)
        pauses.sent()
        try:
            response = await send(request)
        except BackendError as error:
            if error.headers is not None:
                pace.learn(turn, error.headers)
            pauses.failed(error)
            raise
        if response.headers is not None:
            pace.learn(turn, response.headers)
        if size and response.tokens:
            tokens.learn(size, response.tokens)
            pace.correct(turn, response.tokens.total)
        return response

    return paced


_SHARED: dict[str, Limits] = {}


def pace_for(
    scope: str | None,
    options: RunnerOptions,
    shared_in: Path | None = None,
    *,
    clock=None,
    sleep=asyncio.sleep,
) -> Pace:
    """The pace of a run.

    Args:
        scope: Names the endpoint, model and key; runs in one process that name the same share
            their limits. None shares with nobody.
        options: The limits that are configured.
        shared_in: Folder through which other processes share them too.
    """
    limits: Limits | None = None
    if scope is not None and shared_in is not None:
        name = hashlib.sha256(scope.encode()).hexdigest()[:16]
        limits = SharedLimits(shared_in / f"{name}.json")
    elif scope is not None:
        limits = _SHARED.setdefault(scope, Limits())
    return Pace(
        options.rate_limit,
        per_minute={
            "requests": options.requests_per_minute,
            "tokens": options.tokens_per_minute,
        },
        limits=limits,
        clock=clock if limits is None else None,
        sleep=sleep,
    )
