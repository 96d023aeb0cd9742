"""Keeps a run within its budget: what a request will take is reserved before it is sent."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.config.schema import BudgetOptions
from lm_eval_so.runner.errors import BudgetSpentError
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy.retry import StoppedError
from lm_eval_so.runner.strategy.spending import Spending
from lm_eval_so.runner.summary.amount import Amount

UNITS = ("requests", "tokens", "usd")


class Reserving(ABC):
    """Reserves what a request is expected to take, for as long as it is under way."""

    def __init__(self, options: BudgetOptions) -> None:
        self._bounds = {
            unit: bound for unit in UNITS if (bound := getattr(options, unit)) is not None
        }
        self._turnstile = asyncio.Lock()
        self._settled = asyncio.Event()
        self._reserved = Amount()  # of the requests that wait for their start or are in flight

    def wrap(self, send: Send) -> Send:
        """``send`` within the budget; unchanged where there is none."""
        if not self._bounds:
            return send

        async def budgeted(request: RunRequest) -> ChatResponse:
            reserved = await self._reserve(request)
            try:
                return await send(request)
            finally:
                self._reserved = self._reserved.minus(reserved)
                self._settled.set()

        return budgeted

    @abstractmethod
    async def _reserve(self, request: RunRequest) -> Amount:
        """Reserves, and waits until it can.

        Raises:
            StoppedError: The budget is spent.
        """


class Budget(Reserving):
    """A run's budget; a request that does not fit waits until those in flight are settled.

    An estimate is seldom right, so a request is refused only when nothing is in flight any more.
    The run then ends within one answer of its budget, and nothing is left to drain.

    Args:
        options: The bounds.
        spending: Knows what the run has taken, its earlier commands included.
        give_up: Ends the run; called once, with the bound that was reached.
    """

    def __init__(
        self,
        options: BudgetOptions,
        spending: Spending,
        give_up: Callable[[BudgetSpentError], None],
    ) -> None:
        super().__init__(options)
        self._spending = spending
        self._give_up = give_up
        self._over = False

    async def _reserve(self, request: RunRequest) -> Amount:
        async with self._turnstile:
            while True:
                amount = self._spending.expected(request)
                total = self._spending.settled.plus(self._reserved).plus(amount)
                reached = [u for u, bound in self._bounds.items() if getattr(total, u) > bound]
                if not reached and not self._over:
                    self._reserved = self._reserved.plus(amount)
                    return amount
                if self._reserved.requests < 1:
                    self._end(reached)
                    raise StoppedError
                self._settled.clear()
                await self._settled.wait()

    def _end(self, reached: list[str]) -> None:
        if not self._over:
            self._over = True
            unit = reached[0]
            taken = getattr(self._spending.settled, unit)
            self._give_up(BudgetSpentError(unit, taken, self._bounds[unit]))
