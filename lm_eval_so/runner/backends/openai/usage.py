"""Tokens and cost, as the server reports them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.numbers import number, whole_number
from lm_eval_so.runner.models import TokenUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

_COST = "x-litellm-response-cost"  # US dollars; "None" where LiteLLM does not know
_TICKS = 10**10  # to the US dollar: https://docs.x.ai/developers/cost-tracking
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_CACHED = (
    ("prompt_tokens_details", "cached_tokens"),  # OpenAI and most others
    ("prompt_cache_hit_tokens",),  # DeepSeek
    ("cache_read_input_tokens",),  # Anthropic behind a gateway
    ("cached_tokens",),  # Moonshot
)
_CACHE_WRITTEN = (("cache_creation_input_tokens",),)  # Anthropic behind a gateway
_REASONING = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("reasoning_tokens",),  # Perplexity, Together
)


def token_usage(usage: object) -> TokenUsage | None:
    """The tokens; None where nothing usable is told, so that an estimate stands.

    Numbers count also as floats and as text; what is no number from 0 to 2^63 - 1 is left out.

    What the total has beyond the input and the output is output: the reasoning that xAI and Gemini
    count beside the answer, and bill. Gemini's compatible API tells it by the total alone:
    https://discuss.ai.google.dev/t/127400. Gateways to Bedrock have the tokens of the cache in the
    total alone, which are no output.
    """
    if not isinstance(usage, dict):
        return None
    asked, answered, total = (whole_number(usage.get(name)) for name in _COUNTS)
    if asked is answered is total is None:
        return None
    cached, reasoning = _first(usage, _CACHED), _first(usage, _REASONING)
    if total is None:
        if asked is not None and answered is not None:
            total = asked + answered
    elif asked is not None:
        beside = total - asked - (answered or 0)
        if beside > 0 and (beside == reasoning or not _is_of_cache(beside, cached, usage)):
            answered = (answered or 0) + beside
    return TokenUsage(input=asked, output=answered, total=total, cached=cached, reasoning=reasoning)


def _is_of_cache(count: int, read: int | None, usage: Mapping[str, Any]) -> bool:
    written = _first(usage, _CACHE_WRITTEN) or 0
    return count in (read, written, (read or 0) + written)


def _first(usage: Mapping[str, Any], places: tuple[tuple[str, ...], ...]) -> int | None:
    """The first of these that is told."""
    for place in places:
        found: Any = usage
        for name in place:
            found = found.get(name) if isinstance(found, dict) else None
        if found is not None and (count := whole_number(found)) is not None:
            return count
    return None


def reported_cost(headers: Mapping[str, str], usage: object) -> float | None:
    """US dollars by the usage or a header (LiteLLM); None where nobody tells."""
    cost = _told_cost(usage) if isinstance(usage, dict) else None
    if cost is None:
        cost = number(headers.get(_COST))
    return cost if cost is not None and cost >= 0 else None


def _told_cost(usage: Mapping[str, Any]) -> float | None:
    ticks = number(usage.get("cost_in_usd_ticks"))  # xAI
    if ticks is not None:
        return ticks / _TICKS
    cost = usage.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")  # Perplexity
    if usage.get("is_byok") is True:
        return _with_own_key(number(cost), usage.get("cost_details"))
    told = number(cost)
    return number(usage.get("estimated_cost")) if told is None else told  # DeepInfra


def _with_own_key(fee: float | None, details: object) -> float | None:
    """OpenRouter's fee and what the provider bills itself; None where that is not told."""
    told = details.get("upstream_inference_cost") if isinstance(details, dict) else None
    upstream = number(told)
    return None if upstream is None else (fee or 0.0) + upstream
