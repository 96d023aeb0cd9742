"""Finds a setting that every request is refused for, before the whole dataset has been sent.

The rule: the first samples that are settled, several different ones, are all refused alike, and
none was answered. Then the run ends and all of them stay owed. What is refused later, or beside
answers, is that sample's result.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, Outcome, RunRequest
from lm_eval_so.runner.strategy.breaker.breaker import Breaker
from lm_eval_so.runner.strategy.breaker.refusals import Kind, kind_of
from lm_eval_so.runner.strategy.retry import StoppedError

ENOUGH = 10
"""Different samples refused alike that end a run.

A dataset may begin with a handful of faulty or flagged samples, seldom with ten and no other; and
a refused setting has cost ten requests and those in flight, which are usually not billed.
"""
MOST_HELD = 2 * ENOUGH
"""Refusals, alike or not, that wait at once; so many that are not alike are the samples' own."""
ENOUGH_OF_FEW = 3
"""Where there are no more samples: fewer than this may all be faulty."""

Settle = Callable[[RunRequest], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class _Held:
    sample_id: str
    kind: Kind
    error: BackendError


class Evidence:
    """Holds back the first refusals until it is known whose fault they are.

    Below the retries, where an error that is not worth another attempt is final. It does nothing
    until an engine calls `watch`, and nothing after the first answer.

    Args:
        breaker: Ends the run.
        stopping: Whether the run is stopping, so that nothing is waited for.
    """

    def __init__(self, breaker: Breaker, *, stopping: Callable[[], bool] = lambda: False) -> None:
        self._breaker = breaker
        self._stopping = stopping
        self._watching = self._found = False
        self._answered_before = self._fed = False
        self._workers = inf
        self._under_way = 0
        self._held: dict[asyncio.Future[BackendError | None], _Held] = {}

    def watch(self, workers: float = inf) -> None:
        """Begins.

        Args:
            workers: Samples that can be under way at once; it is never waited for more refusals
                than these can bring.
        """
        self._watching, self._workers = True, workers

    def answered_before(self) -> None:
        """Notes that there are answers of earlier commands.

        So what is refused now may be the rest of a dataset, all of it flagged. The key, the
        account and the address may have changed since.
        """
        self._answered_before = True

    def no_more(self) -> None:
        """Notes that every sample is under way or settled."""
        self._fed = True
        self._decide()

    def counted(self, settle: Settle) -> Settle:
        """``settle``, so that it is known how many samples are under way, in back-off too."""

        async def counting(request: RunRequest) -> Outcome:
            if not self._watching:
                return await settle(request)
            self._under_way += 1
            try:
                return await settle(request)
            finally:
                self._under_way -= 1
                self._decide()

        return counting

    def wrap(self, send: Send) -> Send:
        """``send``, whose refusals are held back until it is known what they are."""

        async def judged(request: RunRequest) -> ChatResponse:
            try:
                response = await send(request)
            except BackendError as error:
                if (self._watching or self._found) and self._may_tell(error):
                    await self._hold(request, error)
                raise
            if self._watching:
                self._end(None)
            return response

        return judged

    def _may_tell(self, error: BackendError) -> bool:
        if error.retryable or error.sample_fault:
            return False
        return not self._answered_before or kind_of(error).of_the_setting

    async def _hold(self, request: RunRequest, error: BackendError) -> None:
        """Returns when the refusal is the sample's own.

        Raises:
            StoppedError: It is the setting's, or the run stops before it is known.
        """
        if self._found or self._stopping():
            raise StoppedError from error
        verdict = asyncio.get_running_loop().create_future()
        self._held[verdict] = _Held(request.sample_id, kind_of(error), error)
        self._decide()
        try:
            of_the_setting = await verdict
        finally:
            self._held.pop(verdict, None)
        if of_the_setting is not None:
            await self._breaker.trip(of_the_setting, of_the_setting.message)
            raise StoppedError from error

    def _decide(self) -> None:
        if not self._watching or not self._held:
            return
        counts = self._counts()
        commonest = max(counts, key=counts.__getitem__)
        if counts[commonest] >= ENOUGH:
            self._end(commonest)
        elif len(self._held) >= MOST_HELD:
            self._end(None)
        elif self._nothing_more_to_come():
            self._end(_of_few(counts))

    def _counts(self) -> dict[Kind, int]:
        """Refusals by kind; those that a sample can be the cause of, once a sample."""
        samples: dict[Kind, set[str]] = {}
        requests: Counter[Kind] = Counter()
        for held in self._held.values():
            samples.setdefault(held.kind, set()).add(held.sample_id)
            requests[held.kind] += 1
        return {
            kind: requests[kind] if kind.of_the_setting else len(ids)
            for kind, ids in samples.items()
        }

    def _nothing_more_to_come(self) -> bool:
        if len(self._held) < self._under_way:
            return False
        return self._fed or self._under_way >= self._workers

    def _end(self, kind: Kind | None) -> None:
        """Ends the watch; ``kind`` is what the run ends for, and None lets it go on."""
        self._watching = False
        told = next((held.error for held in self._held.values() if held.kind == kind), None)
        if told is not None:
            self._found = self._breaker.open = True
        for verdict in self._held:
            if not verdict.done():
                verdict.set_result(told)


def _of_few(counts: dict[Kind, int]) -> Kind | None:
    """What all that will ever be known comes to.

    A refusal that no sample can cause is enough; others must be several, all alike.
    """
    commonest = max(counts, key=lambda kind: (kind.of_the_setting, counts[kind]))
    if commonest.of_the_setting:
        return commonest
    return commonest if len(counts) == 1 and counts[commonest] >= ENOUGH_OF_FEW else None
