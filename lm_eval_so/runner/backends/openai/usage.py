"""Tokens and cost, as the server reports them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_eval_so.runner.backends.http.numbers import number, whole_number
from lm_eval_so.runner.models import TokenUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

_COST = "x-litellm-response-cost"  # US dollars; "None" where LiteLLM does not know
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def token_usage(usage: object) -> TokenUsage | None:
    """The tokens; None where nothing usable is told, so that an estimate stands.

    Numbers count also as floats and as text; what is no number from 0 to 2^63 - 1 is left out.
    """
    if not isinstance(usage, dict):
        return None
    asked, answered, total = (whole_number(usage.get(name)) for name in _COUNTS)
    if asked is answered is total is None:
        return None
    if total is None and asked is not None and answered is not None:
        total = asked + answered
    return TokenUsage(input=asked, output=answered, total=total)


def reported_cost(headers: Mapping[str, str], usage: object) -> float | None:
    """US dollars by ``usage.cost`` (OpenRouter) or a header (LiteLLM); None where nobody tells."""
    cost = number(usage.get("cost")) if isinstance(usage, dict) else None
    if cost is None:
        cost = number(headers.get(_COST))
    return cost if cost is not None and cost >= 0 else None
