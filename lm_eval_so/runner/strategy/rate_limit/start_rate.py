"""Learns a rate of starts from refusals, where the server gives its limit in no other way."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from math import inf, log1p

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import REFUSALS, BackendError
from lm_eval_so.runner.models import ChatResponse, RunRequest, Wait

_FIRST_STEP, _LAST_STEP = 0.2, 0.04  # of the rate, taken off for a refusal
_UNTESTED = 0.05  # of the rate, added for an answer until one is refused: it may be far too low
_SETTLED = 8  # answers in a row, after which a rate counts as one that is taken
_LONG = 50  # answers in a row, after which it grows twice as fast, and so on: the limit may be gone
_SHRINKING = 0.6  # of the step, each time that happens
_REFUSED = 0.01  # share of refusals, beside what is usual, at which the rate stays where it is
_MOST_REFUSED = 0.5
_TRIAL = 60  # starts, that what a rate brings is measured by
_FEW_REFUSED, _LESS = 3, 0.75  # of a trial's starts; of a faster trial's answers
_COOLDOWN = 2000  # answers, until it can be taught again once there was no limit
_TICK = 1e-3  # seconds
_SLOWEST = 0.1  # starts a second
_NO_LIMIT = 10_000.0  # starts a second, beyond which there is nothing to keep


class _Trial:
    """So many starts, and what came of them."""

    def __init__(self, began: float) -> None:
        self._began = began
        self.starts = self.refused = 0
        self.rate = self.answers = 0.0

    def end(self, now: float) -> None:
        """Starts and answers a second."""
        seconds = max(now - self._began, _TICK)
        self.rate = self.starts / seconds
        self.answers = (self.starts - self.refused) / seconds

    def is_no_better_than(self, faster: "_Trial") -> bool:
        """Whether as many are refused as at a higher rate, and fewer answered."""
        worth_it = self.refused < max(_FEW_REFUSED, faster.refused / 2)
        return not worth_it and self.answers < _LESS * faster.answers


class StartRate:
    """Spaces the starts evenly, at a rate that refusals taught.

    The rate goes up a little with each answer and down with each refusal, so that it settles where
    a small share of the requests is refused: the weighted up-down method (Kaernbach 1991). Where
    half the rate brings only half the answers, and as many refusals, there is no limit, and the
    rate is None again.

    Attributes:
        per_second: Starts a second; None until refusals taught a rate.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.per_second: float | None = None
        self._clock = clock
        self._sleep = sleep
        self._turnstile = asyncio.Lock()
        self._last = self._changed_at = -inf
        self._step = _FIRST_STEP
        self._ratio = 0.0
        self._answers = 0
        self._tested = False
        self._trial = _Trial(0.0)
        self._cooldown = 0  # answers until it can be taught again

    def teach(self, answers_per_second: float, usual: float) -> None:
        """Sets a first rate: requests were refused though there was room for them.

        Args:
            answers_per_second: What was answered meanwhile.
            usual: The share of requests that is refused whatever the rate is.
        """
        if self.per_second is not None or self._cooldown:
            return  # each further refusal brings it down
        share = min(usual + _REFUSED, _MOST_REFUSED)
        self._ratio = share / (1 - share)
        self._step = _FIRST_STEP
        self._tested = False
        self._reference: _Trial | None = None
        self._trial = _Trial(self._clock())
        self._set(min(answers_per_second, _NO_LIMIT))

    def answered(self) -> None:
        """Raises the rate: a request was answered."""
        self._cooldown = max(0, self._cooldown - 1)
        if self.per_second is None:
            return
        self._count(refused=False)
        self._answers += 1
        if self._answers == _SETTLED:
            self._step = max(_LAST_STEP, self._step * _SHRINKING)
        growth = _UNTESTED
        if self._tested:  # a step down and so many up come to nothing at the share that is wanted
            growth = -log1p(-self._step) * self._ratio * (1 + self._answers / _LONG)
        rate = (self.per_second or _NO_LIMIT) * (1 + growth)
        self.per_second = rate if rate < _NO_LIMIT else None

    def refused(self, began: float) -> None:
        """Lowers the rate: a request that began then was refused."""
        if self.per_second is None:
            return
        self._count(refused=True)
        if self.per_second is not None and began > self._changed_at:
            if self._tested and self._answers < _SETTLED:
                self._step = min(_FIRST_STEP, self._step / _SHRINKING)
            self._answers = 0
            self._tested = True
            self._set(self.per_second * (1 - self._step))

    def _count(self, *, refused: bool) -> None:
        """Finds out whether fewer starts bring fewer refusals, as they do where a limit is."""
        trial = self._trial
        trial.starts += 1
        trial.refused += refused
        if trial.starts < _TRIAL:
            return
        trial.end(self._clock())
        self._trial = _Trial(self._clock())
        reference = self._reference
        if reference is None or trial.rate > reference.rate:
            self._reference = trial
        elif trial.rate < reference.rate / 2:
            if trial.is_no_better_than(reference):
                self.per_second, self._cooldown = None, _COOLDOWN
            self._reference = trial

    async def wait(self) -> float:
        """Waits for a start; returns the seconds, 0 where there was no need.

        One at a time, so that a change of the rate holds from the next start on.
        """
        if self.per_second is None:
            return 0.0
        arrived, queued = self._clock(), self._turnstile.locked()
        async with self._turnstile:
            wait = self._last + 1 / (self.per_second or _NO_LIMIT) - self._clock()
            if wait > 0:
                await self._sleep(wait)
            self._last = self._clock()
        return self._last - arrived if queued or wait > 0 else 0.0

    def wrap(self, send: Send) -> Send:
        """``send``, started at the rate; what comes of it corrects the rate."""

        async def spaced(request: RunRequest) -> ChatResponse:
            waited = 0.0 if self.per_second is None else await self.wait()
            if waited:
                request.journal.wait(Wait.RATE_LIMIT, waited)
            began = self._clock()
            try:
                response = await send(request)
            except BackendError as error:
                if error.status_code in REFUSALS and error.retryable:
                    self.refused(began)
                raise
            self.answered()
            return response

        return spaced

    def _set(self, rate: float) -> None:
        self.per_second = max(_SLOWEST, rate)
        self._changed_at = self._clock()
