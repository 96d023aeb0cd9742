"""The price list of ``genai-prices``, asked once for each price and not for each answer.

The library takes 0.2 ms for an answer, half of what all the rest of a request costs. Its prices are
a rate for each kind of token, which changes at thresholds of the request's input tokens and, of a
few models, with the time of day. So the rates are asked for, and kept.
"""

import logging
import time
from bisect import bisect_left
from collections.abc import Callable
from functools import partial

from genai_prices import Usage, calc_price
from genai_prices.types import PriceCalculation, TieredPrices

from lm_eval_so.runner.strategy.price import Rates

_LOG = logging.getLogger(__name__)
_MILLION = 1_000_000
_STANDARD = (None, "default", "standard", "auto", "on_demand", "scale")
"""Tiers that cost what a request costs that names none; ``scale`` is paid for in advance."""

_CONTEXTS = {"batch": {"processing": "batch"}}
_MINUTE = 60.0  # seconds


def listed_rates(
    model: str, address: str, *, clock: Callable[[], float] = time.monotonic
) -> Callable[[float, str | None], Rates] | None:
    """The rates of a model, by input tokens and tier; None where the list does not have it.

    Args:
        model: As the provider names it.
        address: Of the provider's API.
        clock: Seconds; prices that change with the time of day are asked for every minute.
    """
    for provider in (address, None):
        calculate = partial(calc_price, model_ref=model, provider_api_url=provider)
        try:
            found = calculate(Usage(input_tokens=_MILLION, output_tokens=_MILLION))
        except (LookupError, ValueError):  # not listed; or its price is not one of tokens
            continue
        return _ListedRates(model, calculate, found, clock)
    return None


class _ListedRates:
    def __init__(
        self,
        model: str,
        calculate: Callable[..., PriceCalculation],
        found: PriceCalculation,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._model = model
        self._calculate = calculate
        self._by_time = isinstance(found.model.prices, list)
        self._tiers = {
            when.get("service_tier", when.get("processing", ""))
            for when in (variant.when for variant in found.model.price_variants or ())
        }
        self._thresholds = _thresholds(found)
        self._known: dict[tuple[str | None, int], Rates] = {}
        self._unknown_tiers: set[str] = set()
        self._asked_at = clock()

    def __call__(self, input_tokens: float, tier: str | None) -> Rates:
        if self._by_time and self._clock() - self._asked_at > _MINUTE:
            self._known.clear()
            self._asked_at = self._clock()
        # A threshold itself has still the rates below it.
        key = tier, bisect_left(self._thresholds, input_tokens)
        if key not in self._known:
            self._known[key] = self._asked_for(*key)
        return self._known[key]

    def _asked_for(self, tier: str | None, segment: int) -> Rates:
        at_least = self._thresholds[segment - 1] if segment else 0
        size = at_least + 1 if segment else 1
        price = partial(self._dollars, self._context(tier))
        request = price(input_tokens=0)
        asked = price(input_tokens=size)
        cached = price(input_tokens=size, cache_read_tokens=size)
        written = price(input_tokens=size, cache_write_tokens=size)
        answered = price(input_tokens=size, output_tokens=_MILLION)
        reasoned = price(
            input_tokens=size, output_tokens=_MILLION, output_reasoning_tokens=_MILLION
        )
        scale = _MILLION / size
        return Rates(
            input=(asked - request) * scale,
            cached=(cached - request) * scale,
            written=(written - request) * scale,
            output=answered - asked,
            reasoning=reasoned - asked,
            request=request,
        )

    def _dollars(self, context: dict[str, str] | None, **tokens: int) -> float:
        return float(self._calculate(Usage(**tokens), price_context=context).total_price)

    def _context(self, tier: str | None) -> dict[str, str] | None:
        """What the list knows the tier by; None is the standard price."""
        if tier in _STANDARD or tier is None:
            return None
        if tier in self._tiers:
            return _CONTEXTS.get(tier, {"service_tier": tier})
        if tier not in self._unknown_tiers:
            self._unknown_tiers.add(tier)
            _LOG.warning(
                "no price of the model %s at the service tier %r is known; its standard price "
                "stands for it (or set runner.price.*)",
                self._model,
                tier,
            )
        return None


def _thresholds(found: PriceCalculation) -> list[int]:
    """Input tokens above which other rates hold, at any tier and time."""
    model = found.model
    prices = [each.prices for each in model.prices] if isinstance(model.prices, list) else []
    variants = [variant.prices for variant in model.price_variants or ()]
    starts = {
        tier.start
        for price in (found.model_price, *prices, *variants)
        for rate in vars(price).values()
        if isinstance(rate, TieredPrices)
        for tier in rate.tiers
    }
    return sorted(starts)
