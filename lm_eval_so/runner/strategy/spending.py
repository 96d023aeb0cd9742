"""Counts every attempt that leaves, and what it took: the one owner of a run's total."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import orjson

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import BackendError, EndpointUnreachableError
from lm_eval_so.runner.models import ChatResponse, RunRequest, TokenUsage
from lm_eval_so.runner.strategy.price import Price
from lm_eval_so.runner.strategy.rate_limit.tokens import TokenEstimate
from lm_eval_so.runner.summary.amount import Amount

_FIRST_REFUSAL = 400  # of HTTP's status codes; what is refused is not billed
_MOST_TOKENS = 10**12  # of one answer; a larger count is no count


class Spending:
    """The total of a run, its earlier commands included.

    It is kept before an attempt leaves, which then counts with what it will take by estimate. Its
    outcome is kept with the next that leaves, or a moment later. So what is kept is never behind
    the truth by an attempt, however the process ends, and off by no more than what was in flight.

    Args:
        price: US dollars by tokens; None where nobody knows it.
        estimate: Tokens of a request that has not been sent.
        keep: Stores the total; raises StoreError where it cannot, and then nothing is sent.
        keep_soon: Stores the total with the next that is kept, or within a second or two.

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
        self._counted = Amount()  # settled, and in flight by estimate

    def begin(self, earlier: Amount) -> None:
        """Takes over what earlier commands took; tokens without a price get that of today."""
        if self._price is not None:
            tokens = earlier.unpriced_input_tokens, earlier.unpriced_output_tokens
            usd = earlier.usd + self._price.of(*tokens)
            earlier = Amount(earlier.requests, earlier.tokens, usd)
        self.settled = self._counted = earlier

    def begin_from_lines(self, lines: Iterable[bytes]) -> None:
        """The same, as far as result lines tell: where earlier commands kept no total."""
        earlier = Amount()
        for line in lines:
            # A damaged line is no result.
            with suppress(ValueError, KeyError, TypeError, AttributeError):
                earlier = earlier.plus(self._of_line(orjson.loads(line)))
        self.begin(earlier)

    def expected(self, request: RunRequest) -> Amount:
        """What an attempt will take, by estimate."""
        return self._expected(self._estimate.size(request))

    def wrap(self, send: Send) -> Send:
        """``send``, counted. Nothing may wait below this point: who is counted leaves at once."""

        async def counted(request: RunRequest) -> ChatResponse:
            size = self._estimate.size(request)
            expected = took = self._expected(size)  # stands for what was given up on its way
            self._leave(expected)
            try:
                response = await send(request)
            except BackendError as error:
                took = _of_failure(error, expected)
                raise
            else:
                usage = _believable(response.tokens)
                if usage is not None:
                    self._estimate.learn(size, usage)
                    took = self._of(usage)
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
        return self._amount(asked, answered, asked + answered)

    def _of(self, usage: TokenUsage) -> Amount:
        asked, answered = usage.input or 0, usage.output or 0
        return self._amount(asked, answered, usage.total or asked + answered)

    def _of_line(self, line: Mapping[str, Any]) -> Amount:
        tokens = (line["response"] or {}).get("tokens")
        usage = _believable(TokenUsage(**tokens)) if tokens else None
        amount = Amount() if usage is None else self._of(usage)
        return amount._replace(requests=max(0, int(line["attempts"])))

    def _amount(self, asked: float, answered: float, total: float) -> Amount:
        if self._price is None:
            return Amount(1, total, 0.0, asked, answered)
        return Amount(1, total, self._price.of(asked, answered))


def _of_failure(error: BackendError, expected: Amount) -> Amount:
    """What an attempt took that failed.

    A refused connection took nothing, a refusal by status one request. What broke off, timed out,
    or came as a 200 that cannot be read may be billed: the estimate stands.
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


def _believable(usage: TokenUsage | None) -> TokenUsage | None:
    """The usage, where it tells a number and none that cannot be."""
    if usage is None:
        return None
    counts = [n for n in (usage.input, usage.output, usage.total) if n is not None]
    return usage if counts and all(0 <= n <= _MOST_TOKENS for n in counts) else None
