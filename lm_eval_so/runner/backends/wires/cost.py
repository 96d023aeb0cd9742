"""What an answer cost, as the server or a gateway reports it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.numbers import number

if TYPE_CHECKING:
    from collections.abc import Mapping

_COST = "x-litellm-response-cost"  # US dollars; "None" where LiteLLM does not know
_TICKS = 10**10  # to the US dollar: https://docs.x.ai/developers/cost-tracking


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
