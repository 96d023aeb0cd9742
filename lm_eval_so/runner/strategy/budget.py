"""Keeps what a run takes within its budget: reserved before sending, corrected afterwards."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.config.schema import BudgetOptions
from lm_eval_so.runner.errors import BackendError, BudgetSpentError, EndpointUnreachableError
from lm_eval_so.runner.models import ChatResponse, RunRequest, TokenUsage
from lm_eval_so.runner.price import Price
from lm_eval_so.runner.strategy.retry import StoppedError
from lm_eval_so.runner.strategy.tokens import TokenEstimate


class Amount(NamedTuple):
    """What requests take."""

    requests: float = 0.0
    tokens: float = 0.0
    usd: float = 0.0

    def plus(self, other: "Amount", sign: int = 1) -> "Amount":
        """The sum, or with ``sign`` -1 the difference."""
        return Amount(*(a + sign * b for a, b in zip(self, other, strict=True)))


class Budget:
    """A run's budget; a request that does not fit waits until those in flight are settled.

    Since an estimate is seldom right, a request is refused only when nothing is in flight any
    more: so the run ends within one answer of its budget, and nothing is left to drain.

    Args:
        options: The bounds.
        price: US dollars by tokens; None where ``usd`` is not bounded.
        estimate: Tokens of a request that has not been sent.
        spent: Told once, of the bound that was reached.
    """

    def __init__(
        self,
        options: BudgetOptions,
        price: Price | None,
        estimate: TokenEstimate,
        spent: Callable[[BudgetSpentError], None],
    ) -> None:
        self._bounds = {
            unit: bound for unit in Amount._fields if (bound := getattr(options, unit)) is not None
        }
        self._price = price
        self._estimate = estimate
        self._tell = spent
        self._over = False
        self._turnstile = asyncio.Lock()
        self._settled = asyncio.Event()
        self.taken = Amount()
        self._reserved = Amount()

    @property
    def bounded(self) -> bool:
        """Whether what was sent earlier matters."""
        return bool(self._bounds)

    def charge(self, result: Mapping[str, Any]) -> None:
        """Counts a stored result line, of an earlier command."""
        usage = (result["response"] or {}).get("tokens")
        amount = self._of(TokenUsage(**usage)) if usage else Amount()
        self.taken = self.taken.plus(amount._replace(requests=result["attempts"]))

    def wrap(self, send: Send) -> Send:
        """``send``, within the budget; as it is where there is none."""
        if not self._bounds:
            return send

        async def budgeted(request: RunRequest) -> ChatResponse:
            size = self._estimate.size(request)
            reserved = await self._reserve(size)
            amount = reserved  # what came of a request that was given up is not known
            try:
                response = await send(request)
                if response.tokens is not None:
                    self._estimate.learn(size, response.tokens)
                    amount = self._of(response.tokens)
            except (EndpointUnreachableError, StoppedError):
                amount = Amount()  # nothing was sent
                raise
            except BackendError as error:
                if error.status_code is not None:
                    amount = Amount(requests=1)
                raise
            else:
                return response
            finally:
                self._reserved = self._reserved.plus(reserved, -1)
                self.taken = self.taken.plus(amount)
                self._settled.set()

        return budgeted

    async def _reserve(self, size: int) -> Amount:
        async with self._turnstile:
            while True:
                amount = self._expected(size)
                total = self.taken.plus(self._reserved).plus(amount)
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
            self._tell(BudgetSpentError(unit, getattr(self.taken, unit), self._bounds[unit]))

    def _expected(self, size: int) -> Amount:
        tokens = self._estimate.parts(size)
        return Amount(1, sum(tokens), self._price.of(*tokens) if self._price else 0.0)

    def _of(self, usage: TokenUsage) -> Amount:
        total = usage.total or (usage.input or 0) + (usage.output or 0)
        return Amount(1, total, self._price.of_usage(usage) if self._price else 0.0)
