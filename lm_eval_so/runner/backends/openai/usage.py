"""Tokens, as the server reports them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.numbers import whole_number
from lm_eval_so.runner.models import TokenUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

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
