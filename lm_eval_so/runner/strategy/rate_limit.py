"""Requests and tokens are kept within their limits, and a pause that the server asks for is kept.

Limits are configured, or learned from the headers of the answers.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy.bucket import Bucket
from lm_eval_so.runner.strategy.limit_headers import read_limits
from lm_eval_so.runner.strategy.tokens import TokenEstimate

_MINUTE = 60


class Turn(NamedTuple):
    """A start that was granted.

    Attributes:
        began: When, on the pace's clock.
        waited: Seconds.
        tokens: Reserved; 0 where no limit on tokens is known.
        marks: What `Bucket.begin` returned, by unit.
    """

    began: float
    waited: float
    tokens: float
    marks: Mapping[str, float]


class Pace:
    """When the next request may start, for one endpoint, model and key.

    Args:
        rate: Requests per second, evenly spaced; None for no such limit.
    """

    def __init__(
        self,
        rate: float | None = None,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._next_start = 0.0
        self._paused_until = 0.0
        self._buckets: dict[str, Bucket] = {}
        self.set_limits(rate, requests_per_minute, tokens_per_minute)

    def set_limits(
        self,
        rate: float | None,
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
    ) -> None:
        """Configures the limits; what was learned stays where nothing is configured."""
        self._interval = 1 / rate if rate else 0.0
        for unit, limit in (("requests", requests_per_minute), ("tokens", tokens_per_minute)):
            known = self._buckets.get(unit)
            if limit is None:
                if known and not known.learned:
                    del self._buckets[unit]
            elif known is None or known.per_second != limit / _MINUTE:
                self._buckets[unit] = Bucket(limit / _MINUTE, self._clock())

    @property
    def limits(self) -> dict[str, float]:
        """The limits in force, in units per minute."""
        return {
            f"{unit}_per_minute": round(bucket.per_second * _MINUTE, 1)
            for unit, bucket in self._buckets.items()
        }

    @property
    def counts_tokens(self) -> bool:
        """Whether a limit on tokens is known."""
        return "tokens" in self._buckets

    async def turn(self, tokens: float = 0.0) -> float:
        """Returns when the caller may start, with the seconds it waited."""
        return (await self.start(tokens)).waited

    async def start(self, tokens: float) -> Turn:
        """Returns when the caller may start.

        Args:
            tokens: What it will take of the limit on tokens, by estimate.
        """
        arrived = now = self._clock()
        amounts = {"requests": 1.0, "tokens": tokens}
        while True:
            start = max(now, self._next_start, self._paused_until)
            buckets = list(self._buckets.items())
            for unit, bucket in buckets:
                start = max(start, bucket.ready_at(now, amounts[unit]))
            self._next_start = start + self._interval
            for unit, bucket in buckets:
                bucket.reserve(start, amounts[unit])
            try:
                while now < start:
                    await self._sleep(start - now)
                    now = self._clock()
            except asyncio.CancelledError:
                self._give_back(buckets, amounts)
                raise
            if now >= self._paused_until:
                marks = {unit: bucket.begin(amounts[unit]) for unit, bucket in buckets}
                return Turn(now, now - arrived, tokens, marks)
            self._give_back(buckets, amounts)

    def correct(self, turn: Turn, tokens: float | None) -> None:
        """Exchanges the estimate for what the answer took."""
        bucket = self._buckets.get("tokens")
        if bucket and "tokens" in turn.marks and tokens is not None:
            bucket.give_back(turn.tokens - tokens)

    def learn(self, turn: Turn, headers: Mapping[str, str]) -> None:
        """Takes over the limits that an answer tells, where none is configured."""
        for unit, told in read_limits(headers).items():
            bucket = self._buckets.get(unit)
            now = self._clock()
            if bucket is None:
                bucket = self._buckets[unit] = Bucket(told.per_second, now, learned=True)
            if bucket.learned:
                bucket.learn(*told, turn.marks.get(unit, 0.0), turn.began, now)

    @property
    def paused_s(self) -> float:
        """Seconds of pause still to come."""
        return max(0.0, self._paused_until - self._clock())

    def pause(self, seconds: float) -> None:
        """Nobody starts within the next ``seconds``; the longest pause asked for holds."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    @staticmethod
    def _give_back(buckets: list[tuple[str, Bucket]], amounts: Mapping[str, float]) -> None:
        for unit, bucket in buckets:
            bucket.give_back(amounts[unit], reserved=True)


def rate_limit(send: Send, pace: Pace, estimate: TokenEstimate | None = None) -> Send:
    """Wraps ``send`` so that it keeps the pace, and learns from what the server says.

    ``estimate`` tells the tokens of a request.
    """
    tokens = estimate or TokenEstimate({})

    async def paced(request: RunRequest) -> ChatResponse:
        size = tokens.size(request) if pace.counts_tokens else 0
        turn = await pace.start(tokens.of(size))
        if turn.waited:
            request.journal.wait("rate_limit", turn.waited)
        try:
            response = await send(request)
        except BackendError as error:
            if error.headers is not None:
                pace.learn(turn, error.headers)
            if error.retry_after:
                pace.pause(error.retry_after)
            raise
        if response.headers is not None:
            pace.learn(turn, response.headers)
        if size and response.tokens:
            tokens.learn(size, response.tokens)
            pace.correct(turn, response.tokens.total)
        return response

    return paced


_SHARED: dict[str, Pace] = {}


def pace_for(scope: str | None, options: RunnerOptions) -> Pace:
    """The pace of an endpoint, model and key; runs in one process that share them share it.

    Args:
        scope: Names them; None is shared with nobody.
        options: The limits that are configured. The latest run's hold for all that share.
    """
    pace = Pace() if scope is None else _SHARED.setdefault(scope, Pace())
    pace.set_limits(options.rate_limit, options.requests_per_minute, options.tokens_per_minute)
    return pace
