"""What an answer costs in US dollars, by the tokens that the server counted."""

from typing import NamedTuple

from lm_eval_so.runner.config.schema import PriceOptions
from lm_eval_so.runner.models import TokenUsage

_MILLION = 1_000_000


class Price(NamedTuple):
    """US dollars per million tokens."""

    input: float
    output: float

    def of(self, input_tokens: float, output_tokens: float) -> float:
        """US dollars."""
        return (input_tokens * self.input + output_tokens * self.output) / _MILLION

    def of_usage(self, usage: TokenUsage) -> float:
        """US dollars; missing counts are 0."""
        return self.of(usage.input or 0, usage.output or 0)


def price_of(model: str, address: str, options: PriceOptions) -> Price | None:
    """The price of a model; None where it is unknown.

    Args:
        model: As the provider names it.
        address: Of the provider's API. Where the price list does not know it, it may be a gateway,
            and the model's name alone decides. What is not reached over HTTP has no list price.
        options: A configured price comes first.
    """
    if options.input is not None and options.output is not None:
        return Price(options.input, options.output)
    if not address.startswith(("http://", "https://")):
        return None
    from genai_prices import Usage, calc_price  # noqa: PLC0415 - 0.1 s, and seldom needed

    # A million tokens of each kind: where a price has tiers, the highest, so that a budget holds.
    usage = Usage(input_tokens=_MILLION, output_tokens=_MILLION)
    for provider in (address, None):
        try:
            found = calc_price(usage, model_ref=model, provider_api_url=provider)
        except LookupError:
            continue
        return Price(float(found.input_price), float(found.output_price))
    return None
