"""What an answer costs in US dollars, by its tokens and the tier that served it."""

from collections.abc import Callable
from typing import NamedTuple

from lm_eval_so.runner.config.schema import PriceOptions
from lm_eval_so.runner.models import TokenUsage

_MILLION = 1_000_000


class Rates(NamedTuple):
    """US dollars per million tokens.

    Attributes:
        cached: Of input tokens that were in the server's cache.
        written: Of input tokens that the server put into its cache.
        reasoning: Of output tokens that were reasoning.
        request: US dollars for each request, whatever its tokens.
    """

    input: float
    cached: float
    written: float
    output: float
    reasoning: float
    request: float = 0.0


class Price:
    """The price of a model.

    Args:
        rates: By the input tokens of a request and the tier that served it; None is the standard.
    """

    def __init__(self, rates: Callable[[float, str | None], Rates]) -> None:
        self._rates = rates

    @classmethod
    def fixed(cls, input: float, output: float, cached_input: float | None = None) -> "Price":  # noqa: A002 - as in the config
        """The same at each tier; US dollars per million tokens."""
        cached = input if cached_input is None else cached_input
        rates = Rates(input, cached, written=input, output=output, reasoning=output)
        return cls(lambda _tokens, _tier: rates)

    def of(self, input_tokens: float, output_tokens: float) -> float:
        """US dollars at the standard tier, with nothing in the cache."""
        rates = self._rates(input_tokens, None)
        return (
            input_tokens * rates.input + output_tokens * rates.output
        ) / _MILLION + rates.request

    def of_usage(self, usage: TokenUsage, tier: str | None = None) -> float:
        """US dollars; missing counts are 0.

        Args:
            usage: As the server counted it.
            tier: ``service_tier`` of the answer; ``batch`` for one of a batch.
        """
        asked, answered = usage.input or 0, usage.output or 0
        rates = self._rates(asked, tier)
        cached = min(usage.cached or 0, asked)
        reasoning = min(usage.reasoning or 0, answered)
        written = min(usage.cache_written or 0, asked - cached)
        dollars = (asked - cached - written) * rates.input
        dollars += cached * rates.cached + written * rates.written
        dollars += (answered - reasoning) * rates.output + reasoning * rates.reasoning
        return dollars / _MILLION + rates.request


def price_of(model: str, address: str, options: PriceOptions) -> Price | None:
    """The price of a model; None where it is unknown.

    Args:
        model: As the provider names it.
        address: Of the provider's API. Where the price list does not know it, it may be a gateway,
            and the model's name alone decides. What is not reached over HTTP has no list price.
        options: A configured price comes first.
    """
    if options.input is not None and options.output is not None:
        return Price.fixed(options.input, options.output, options.cached_input)
    if not address.startswith(("http://", "https://")):
        return None
    from lm_eval_so.runner.strategy.price_list import (  # noqa: PLC0415 - 0.1 s, and seldom needed
        listed_rates,
    )

    rates = listed_rates(model, address)
    return None if rates is None else Price(rates)
