"""Tokens and cost, as the server reports them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.numbers import number, whole_number
from lm_eval_so.runner.models import TokenUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

_COST = "x-litellm-response-cost"  # US dollars; "None" where LiteLLM does not know
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_CACHED = (
    ("prompt_tokens_details", "cached_tokens"),  # OpenAI and most others
    ("prompt_cache_hit_tokens",),  # DeepSeek
    ("cache_read_input_tokens",),  # Anthropic behind a gateway
    ("cached_tokens",),  # Moonshot
)
_REASONING = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("reasoning_tokens",),  # Perplexity, Together
)


def token_usage(usage: object) -> TokenUsage | None:
    """The tokens; None where nothing usable is told, so that an estimate stands.

    Numbers count also as floats and as text; what is no number from 0 to 2^63 - 1 is left out. Of
    servers that count the reasoning beside the answer (xAI, Gemini), it is added to the output:
    that is what is billed.
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
    elif reasoning and answered is not None and total == (asked or 0) + answered + reasoning:
        answered += reasoning
    return TokenUsage(input=asked, output=answered, total=total, cached=cached, reasoning=reasoning)


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
    """US dollars by ``usage.cost`` (OpenRouter) or a header (LiteLLM); None where nobody tells."""
    cost = number(usage.get("cost")) if isinstance(usage, dict) else None
    if cost is None:
        cost = number(headers.get(_COST))
    return cost if cost is not None and cost >= 0 else None
