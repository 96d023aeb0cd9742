"""A worker's part of the run's budget: it sends what it has a chunk for."""

import math
from collections.abc import Awaitable, Callable

from lm_eval_so.runner.config.schema import BudgetOptions
from lm_eval_so.runner.engine.remote.port import Port, surely, wait_for
from lm_eval_so.runner.models import RunRequest
from lm_eval_so.runner.strategy.budget import Reserving
from lm_eval_so.runner.strategy.retry import StoppedError
from lm_eval_so.runner.strategy.spending import Spending
from lm_eval_so.runner.summary.amount import Amount

ALL = Amount(math.inf, math.inf, math.inf)
"""Whatever a worker has of the budget."""
_NOTHING = Amount()
_HAIR = 1e-9  # sums of floats are off by less


class RemoteBudget(Reserving):
    """In the place of `strategy.budget.Budget`; the coordinator ends the run.

    Args:
        options: The bounds; only which there are counts.
        spending: Knows what this worker has taken.
        port: To the coordinator.
        wanted: Requests that can be sent soon.
        report: Tells the coordinator now what was taken, and of `unused`.
    """

    def __init__(
        self,
        options: BudgetOptions,
        spending: Spending,
        port: Port,
        *,
        wanted: Callable[[], int],
        report: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(options)
        self._spending = spending
        self._port = port
        self._wanted = wanted
        self._report = report
        self._granted = Amount()
        self._asking = self._giving_back = False

    def unused(self) -> Amount:
        """What the next heartbeat gives back: all, where nothing is under way.

        Until `given_back`, nothing new is asked for, so that it is not given back as well.
        """
        if not self._bounds or self._asking or self._reserved.requests >= 1:
            return _NOTHING
        self._granted = self._spending.settled
        self._giving_back = True
        return ALL

    def given_back(self) -> None:
        """The heartbeat has its answer, or will have none."""
        self._giving_back = False

    async def _reserve(self, request: RunRequest) -> Amount:
        async with self._turnstile:
            while True:
                each = self._spending.expected(request)
                if self._fits(each):
                    self._reserved = self._reserved.plus(each)
                    return each
                await self._fetch(each)

    def _fits(self, each: Amount) -> bool:
        left = self._granted.minus(self._spending.settled).minus(self._reserved)
        return all(
            getattr(left, unit) >= getattr(each, unit) - _HAIR * getattr(self._granted, unit)
            for unit in self._bounds
        )

    async def _fetch(self, each: Amount) -> None:
        """Asks for a chunk, or waits until there may be one.

        Raises:
            StoppedError: The budget is spent.
        """
        if self._giving_back:
            await self._report()
        # An answer that took more than it should is in what was reported, and owed by no chunk.
        taken = self._spending.settled.plus(self._reserved)
        self._granted = Amount(*map(max, self._granted, taken))
        self._asking = True
        try:
            chunk = await surely(lambda: self._port.reserve(each, max(1, self._wanted())))
        finally:
            self._asking = False
        if chunk.requests:
            self._granted = self._granted.plus(chunk.amount)
            return
        self._settled.clear()
        await self._report()
        if chunk.spent is not None:
            raise StoppedError
        await wait_for(self._settled, chunk.ask_again_s)
