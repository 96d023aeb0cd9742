"""Finds a setting that every request is refused for, before the whole dataset has been sent.

The rule: several different samples, the first to be settled, are all refused alike, and none was
answered. Then the run ends and all of them stay owed. A refusal that comes later, or beside
answers, is its sample's result.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy.breaker.alike import ENOUGH, MOST_HELD, count_by_kind, of_few
from lm_eval_so.runner.strategy.breaker.breaker import Breaker
from lm_eval_so.runner.strategy.breaker.refusals import Kind, kind_of
from lm_eval_so.runner.strategy.retry import StoppedError


@dataclass(frozen=True, slots=True)
class HeldRefusal:
    """A refusal whose cause is not known yet."""

    sample_id: str
    kind: Kind
    error: BackendError


class Judge(Protocol):
    """Decides what refusals come from, where other processes hold some too.

    It says so by `Evidence.of_samples` or `Evidence.of_the_setting`.
    """

    def weigh(self, held: Sequence[HeldRefusal], *, stuck: bool) -> None:
        """Takes all that this process holds.

        Args:
            held: In the order in which they came.
            stuck: All that is under way here is held, and nothing else can begin.
        """


class UnderWay:
    """Counts the samples under way, those that back off included.

    Args:
        active: Whether to count.
        ended: Called when a counted sample is settled.

    Attributes:
        count: Samples under way.
    """

    def __init__(self, *, active: Callable[[], bool], ended: Callable[[], None]) -> None:
        self._active = active
        self._ended = ended
        self.count = 0

    def wrap(self, send: Send) -> Send:
        """``send``, counted."""

        async def counted(request: RunRequest) -> ChatResponse:
            self.count += 1
            try:
                return await send(request)
            finally:
                self.count -= 1
                self._ended()

        def counted_at_first(request: RunRequest) -> Awaitable[ChatResponse]:
            return (counted if self._active() else send)(request)

        return counted_at_first


class Evidence:
    """Holds back the first refusals until it is known what causes them.

    It stands below the retries, where an error that is not worth another attempt is final. It does
    nothing until an engine calls `watch`, and nothing after the first answer.

    Args:
        breaker: Ends the run.
        judge: Decides, in the place of the rule.
        stopping: Whether the run is stopping, so that nothing is held back.

    Attributes:
        under_way: Counts the samples under way; for outside of the retries.
    """

    def __init__(
        self,
        breaker: Breaker,
        *,
        judge: Judge | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._breaker = breaker
        self._judge = judge
        self._stopping = stopping
        self._watching = self._found = False
        self._answered_before = self._fed = False
        self._workers = inf
        self.under_way = UnderWay(active=lambda: self._watching, ended=self._decide)
        self._held: dict[asyncio.Future[BackendError | None], HeldRefusal] = {}

    def watch(self, workers: float = inf) -> None:
        """Begins.

        Args:
            workers: Samples that can be under way at once, and so the most refusals to wait for.
        """
        self._watching, self._workers = True, workers

    def answered_before(self) -> None:
        """Notes that earlier commands were answered.

        Then refusals may come from the samples that are left, all of them flagged. Only the key,
        the account and the address may have changed since.
        """
        self._answered_before = True

    def no_more(self) -> None:
        """Notes that every sample is under way or settled."""
        self._fed = True
        self._decide()

    def more(self) -> None:
        """Notes that there are more samples after all."""
        self._fed = False

    def of_samples(self) -> None:
        """Notes that refusals are the samples' own: nothing is held back from now on."""
        if self._watching:
            self._end(None)

    def of_the_setting(self) -> None:
        """Notes that they are the setting's: nothing is sent any more."""
        if self._watching:
            self._watching = False
            self._found = self._breaker.open = True
            for verdict, held in self._held.items():
                if not verdict.done():
                    verdict.set_result(held.error)

    def wrap(self, send: Send) -> Send:
        """``send``, whose refusals are held back until their cause is known."""

        async def judged(request: RunRequest) -> ChatResponse:
            try:
                response = await send(request)
            except BackendError as error:
                if (self._watching or self._found) and self._counts(error):
                    await self._hold(request, error)
                raise
            if self._watching:
                self._end(None)
            return response

        def judged_at_first(request: RunRequest) -> Awaitable[ChatResponse]:
            return (judged if self._watching or self._found else send)(request)

        return judged_at_first

    def _counts(self, error: BackendError) -> bool:
        if error.retryable or error.sample_fault:
            return False
        return not self._answered_before or kind_of(error).of_the_setting

    async def _hold(self, request: RunRequest, error: BackendError) -> None:
        """Returns once the refusal is known to be the sample's own.

        Raises:
            StoppedError: It is the setting's, or the run stops before it is known.
        """
        if self._found or self._stopping():
            raise StoppedError from error
        verdict = asyncio.get_running_loop().create_future()
        self._held[verdict] = HeldRefusal(request.sample_id, kind_of(error), error)
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
        if self._judge is not None:
            self._judge.weigh(list(self._held.values()), stuck=self._nothing_more_to_come())
            return
        counts = count_by_kind((held.kind, held.sample_id) for held in self._held.values())
        commonest = max(counts, key=counts.__getitem__)
        if counts[commonest] >= ENOUGH:
            self._end(commonest)
        elif len(self._held) >= MOST_HELD:
            self._end(None)
        elif self._nothing_more_to_come():
            self._end(of_few(counts))

    def _nothing_more_to_come(self) -> bool:
        if len(self._held) < self.under_way.count:
            return False
        return self._fed or self.under_way.count >= self._workers

    def _end(self, kind: Kind | None) -> None:
        """Ends the watch: the run ends for ``kind``, or goes on where that is None."""
        self._watching = False
        error = next((held.error for held in self._held.values() if held.kind == kind), None)
        if error is not None:
            self._found = self._breaker.open = True
        for verdict in self._held:
            if not verdict.done():
                verdict.set_result(error)
