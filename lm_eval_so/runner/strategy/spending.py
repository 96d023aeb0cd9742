"""Counts each attempt and what it took: the one owner of a run's total."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import BackendError, EndpointUnreachableError
from lm_eval_so.runner.models import ChatResponse, RunRequest, TokenUsage
from lm_eval_so.runner.strategy.price import Price
from lm_eval_so.runner.strategy.rate_limit.tokens import TokenEstimate, believable
from lm_eval_so.runner.summary.amount import Amount

_FIRST_REFUSAL = 400  # of HTTP's status codes; what is refused is not billed


class Spending:
    """The total of a run, its earlier commands included.

    The total is stored before an attempt leaves, which counts by estimate until its outcome is
    known. The outcome is stored with the next attempt that leaves, or a moment later. However the
    process ends, the stored total misses no attempt, and is wrong by no more than what was in
    flight.

    Args:
        price: US dollars by tokens; None where it is unknown.
        estimate: Tokens of a request that has not been sent; learns from each answer.
        keep: Stores the total; raises StoreError where it cannot, and then nothing is sent.
        keep_soon: Stores the total with the next call of ``keep``, or within a second or two.

    Attributes:
        settled: What the attempts took whose outcome is known.
    """

    def __init__(
        self,
        price: Price | None,
        estimate: TokenEstimate,
        keep: Callable[[Amount], None] = lambda _: None,
        keep_soon: Callable[[Amount], None] = lambda _: None,
    ) -> None:
        self._price = price
        self._estimate = estimate
        self._keep = keep
        self._keep_soon = keep_soon
        self.settled = Amount()
        self._counted = Amount()  # settled, plus the estimate of what is in flight

    def begin(self, earlier: Amount) -> None:
        """Adds what earlier commands took; tokens without a price get today's."""
        if self._price is not None:
            tokens = earlier.unpriced_input_tokens, earlier.unpriced_output_tokens
            usd = earlier.usd + self._price.of(*tokens)
            earlier = Amount(earlier.requests, earlier.tokens, usd)
        self.settled = self._counted = earlier

    def begin_from_lines(self, lines: Iterable[bytes]) -> None:
        """The same from result lines, where earlier commands stored no total."""
        earlier = Amount()
        for line in lines:
            # A damaged line is no result.
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                earlier = earlier.plus(self._of_line(orjson.loads(line)))
        self.begin(earlier)

    def expected(self, request: RunRequest) -> Amount:
        """Estimates what an attempt will take."""
        return self._expected(self._estimate.size(request))

    def wrap(self, send: Send) -> Send:
        """``send``, counted. Nothing may wait below it: what is counted leaves at once."""

        async def counted(request: RunRequest) -> ChatResponse:
            size = self._estimate.size(request)
            expected = took = self._expected(size)  # holds for an attempt that is cancelled
            self._leave(expected)
            try:
                response = await send(request)
            except BackendError as error:
                took = _of_failure(error, expected)
                raise
            else:
                usage = believable(response.tokens)
                if usage is not None:
                    self._estimate.learn(size, usage)
                    took = self._of(usage, response.service_tier)
                if response.cost_usd is not None:  # what the provider bills
                    took = _billed(took, response.cost_usd)
                return response
            finally:
                self._settle(expected, _with_resent(took, request.journal.resent))

        return counted

    def _leave(self, expected: Amount) -> None:
        counted = self._counted.plus(expected)
        self._keep(counted)
        self._counted = counted

    def _settle(self, expected: Amount, took: Amount) -> None:
        self.settled = self.settled.plus(took)
        if took is not expected:
            self._counted = self._counted.plus(took).minus(expected)
            self._keep_soon(self._counted)

    def _expected(self, size: int) -> Amount:
        asked, answered = self._estimate.parts(size)
        if self._price is None:
            return Amount(1, asked + answered, 0.0, asked, answered)
        return Amount(1, asked + answered, self._price.of(asked, answered))

    def _of(self, usage: TokenUsage, tier: str | None = None) -> Amount:
        asked, answered = usage.input or 0, usage.output or 0
        total = usage.total or asked + answered
        if self._price is None:
            return Amount(1, total, 0.0, asked, answered)
        return Amount(1, total, self._price.of_usage(usage, tier))

    def _of_line(self, line: Mapping[str, Any]) -> Amount:
        response = line["response"] or {}
        tokens, cost = response.get("tokens"), line.get("cost_usd")
        usage = believable(TokenUsage(**tokens)) if tokens else None
        amount = Amount() if usage is None else self._of(usage, response.get("service_tier"))
        if cost is not None:
            amount = _billed(amount, float(cost))
        return amount._replace(requests=max(0, int(line["attempts"])))


def _of_failure(error: BackendError, expected: Amount) -> Amount:
    """What a failed attempt took.

    A refused connection took nothing, a refusal by status one request. A connection that broke, a
    timeout and a 200 that cannot be read may be billed: the estimate holds.
    """
    if isinstance(error, EndpointUnreachableError):
        return Amount()
    if error.status_code is not None and error.status_code >= _FIRST_REFUSAL:
        return Amount(requests=1)
    return expected


def _billed(took: Amount, usd: float) -> Amount:
    return Amount(took.requests, took.tokens, usd)


def _with_resent(took: Amount, times: int) -> Amount:
    return took._replace(requests=took.requests + times) if times else took
