"""Costs are those that the price list computes by itself, to the last digit that counts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from genai_prices import Usage, calc_price

from lm_eval_so.runner.config.schema import PriceOptions
from lm_eval_so.runner.models import TokenUsage
from lm_eval_so.runner.strategy.price import Price, price_of

if TYPE_CHECKING:
    from collections.abc import Mapping

OPENAI = "https://api.openai.com/v1"
GOOGLE = "https://generativelanguage.googleapis.com/v1beta/openai"
NO_OPTIONS = PriceOptions()


def price(model: str, address: str = OPENAI) -> Price:
    found = price_of(model, address, NO_OPTIONS)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("tier", "context"),
    [
        (None, None),
        ("default", None),
        ("flex", {"service_tier": "flex"}),
        ("priority", {"service_tier": "priority"}),
        ("batch", {"processing": "batch"}),
    ],
)
@pytest.mark.parametrize("cached", [0, 8_000, 10_000])
@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-5", "o3"])
def test_the_cost_is_that_of_the_price_list_by_model_cache_and_tier(
    model: str, cached: int, tier: str | None, context: Mapping[str, str] | None
) -> None:
    usage = TokenUsage(input=10_000, output=1_234, total=11_234, cached=cached, reasoning=1_000)
    by_hand = calc_price(
        Usage(input_tokens=10_000, output_tokens=1_234, cache_read_tokens=cached),
        model_ref=model,
        provider_api_url=OPENAI,
        price_context=context,
    )
    assert price(model).of_usage(usage, tier) == pytest.approx(float(by_hand.total_price), rel=1e-9)


@pytest.mark.parametrize("asked", [1, 200_000, 200_001, 1_000_000])
@pytest.mark.parametrize("cached", [0, 1])
@pytest.mark.parametrize("tier", [None, "batch"])
def test_rates_that_change_with_the_length_of_the_prompt_change_where_the_list_says(
    asked: int, cached: int, tier: str | None
) -> None:
    by_hand = calc_price(
        Usage(input_tokens=asked, output_tokens=500, cache_read_tokens=cached * asked // 2),
        model_ref="gemini-2.5-pro",
        price_context={"processing": "batch"} if tier else None,
    )
    usage = TokenUsage(input=asked, output=500, cached=cached * asked // 2)
    found = price("gemini-2.5-pro", GOOGLE).of_usage(usage, tier)
    assert found == pytest.approx(float(by_hand.total_price), rel=1e-9)


def test_a_cache_makes_a_prompt_cheaper_and_a_tier_changes_all_of_it() -> None:
    usage = TokenUsage(input=10_000, output=0)
    cached = usage.model_copy(update={"cached": 8_000})
    mini = price("gpt-5-mini")
    assert mini.of_usage(usage) == pytest.approx(0.0025)
    assert mini.of_usage(cached) == pytest.approx(0.0007)
    assert mini.of_usage(cached, "flex") == pytest.approx(0.00035)
    assert mini.of_usage(cached, "priority") == pytest.approx(0.00126)


@pytest.mark.parametrize(("cached", "written"), [(0, 8_000), (1_000, 8_000), (1_000, 9_000)])
def test_what_is_written_into_a_cache_costs_what_the_list_says(cached: int, written: int) -> None:
    model, address = "claude-haiku-4-5", "https://api.anthropic.com"
    usage = Usage(
        input_tokens=10_000,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        output_tokens=100,
    )
    listed = calc_price(usage, model_ref=model, provider_api_url=address).total_price
    tokens = TokenUsage(input=10_000, output=100, cached=cached, cache_written=written)
    assert price(model, address).of_usage(tokens) == pytest.approx(float(listed), rel=1e-9)


def test_a_tier_without_a_price_costs_the_standard_one_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    model, usage = price("gpt-4o-mini"), TokenUsage(input=1_000_000, output=0)
    with caplog.at_level(logging.WARNING):
        dollars = [model.of_usage(usage, tier) for tier in (None, "turbo", "turbo", "default")]
    assert dollars == pytest.approx([0.15] * 4)
    (message,) = caplog.messages
    assert message.startswith("no price of the model gpt-4o-mini at the service tier 'turbo'")


def test_what_is_reserved_is_the_standard_price_with_nothing_in_the_cache() -> None:
    assert price("gpt-5-mini").of(10_000, 1_000) == pytest.approx(0.0025 + 0.002)


def test_a_configured_price_comes_first_with_its_own_price_of_cached_tokens() -> None:
    usage = TokenUsage(input=1_000_000, output=1_000_000, cached=500_000)
    plain = price_of("gpt-4o", OPENAI, PriceOptions(input=1, output=2))
    cached = price_of("gpt-4o", OPENAI, PriceOptions(input=1, output=2, cached_input=0.1))
    assert plain is not None
    assert cached is not None
    assert plain.of_usage(usage, "flex") == pytest.approx(3.0)
    assert cached.of_usage(usage, "flex") == pytest.approx(0.5 + 0.05 + 2)


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (TokenUsage(), 0.0),
        (TokenUsage(input=10, cached=10**9), 1e-5 * 0.1),
        (TokenUsage(output=10, reasoning=10**9), 2e-5),
    ],
    ids=["nothing", "more-cached-than-asked", "more-reasoning-than-answered"],
)
def test_counts_that_cannot_be_right_make_no_negative_cost(
    usage: TokenUsage, dollars: float
) -> None:
    assert Price.fixed(1, 2, 0.1).of_usage(usage) == pytest.approx(dollars)


def test_what_is_not_in_the_list_or_on_no_network_has_no_price() -> None:
    assert price_of("no-such-model-of-anybody", OPENAI, NO_OPTIONS) is None
    assert price_of("gpt-4o", "gguf:file:digest", NO_OPTIONS) is None
