"""Keeps what a run takes within its budget: what a request will take is reserved before sending."""

import asyncio
from collections.abc import Callable

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.config.schema import BudgetOptions
from lm_eval_so.runner.errors import BudgetSpentError
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy.retry import StoppedError
from lm_eval_so.runner.strategy.spending import Spending
from lm_eval_so.runner.summary.amount import Amount

_UNITS = ("requests", "tokens", "usd")


class Budget:
    """A run's budget; a request that does not fit waits until those in flight are settled.

    Since an estimate is seldom right, a request is refused only when nothing is in flight any
    more: so the run ends within one answer of its budget, and nothing is left to drain.

    Args:
        options: The bounds.
        spending: Knows what the run has taken, its earlier commands included.
        spent: Told once, of the bound that was reached.
    """

    def __init__(
        self, options: BudgetOptions, spending: Spending, spent: Callable[[BudgetSpentError], None]
    ) -> None:
        self._bounds = {
            unit: bound for unit in _UNITS if (bound := getattr(options, unit)) is not None
        }
        self._spending = spending
        self._tell = spent
        self._over = False
        self._turnstile = asyncio.Lock()
        self._settled = asyncio.Event()
        self._reserved = Amount()  # of the requests that wait for their start or are in flight

    def wrap(self, send: Send) -> Send:
        """``send``, within the budget; as it is where there is none."""
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
            self._tell(BudgetSpentError(unit, taken, self._bounds[unit]))
