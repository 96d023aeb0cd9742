"""Results in, numbers out; streaming, at one machine word a sample."""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from lm_eval_so.runner.models import Value
from lm_eval_so.runner.summary.failures import Failures

_PERCENTILES = {"p50": 0.50, "p90": 0.90, "p99": 0.99}
_TOO_MANY_REQUESTS = 429


class Summary(Value):
    """What a set of results adds up to.

    Attributes:
        total: Samples in the dataset.
        status_counts: Samples by status; ``owed`` are those without an outcome.
        error_counts: Failed samples by type of error.
        error_messages: The commonest message of each type, on one line.
        latency_ms: Of the answered samples, the last attempt alone: min, mean, p50, p90, p99, max.
        time_to_first_token_ms: The same of streamed answers.
        tokens: input, output and total, as far as the server told.
        attempts: Requests that went over the wire for these results, by whichever command.
        retries: Attempts beyond the first of each sample.
        rate_limited: Attempts answered with 429.
        cost_usd: US dollars of all answers; None where the price is not known.
        requests: Requests that this command sent.
        resumed: Answers that were there before this command.
        wall_time_s: Seconds from the first request's preparation to the last result.
        results_per_s: Results of this command over its wall time.
    """

    total: int
    status_counts: dict[str, int]
    error_counts: dict[str, int]
    error_messages: dict[str, str]
    latency_ms: dict[str, float] | None
    time_to_first_token_ms: dict[str, float] | None
    tokens: dict[str, int]
    attempts: int
    retries: int
    rate_limited: int
    cost_usd: float | None = None
    requests: int = 0
    resumed: int = 0
    wall_time_s: float = 0.0
    results_per_s: float = 0.0


def summarise(results: Iterable[Mapping[str, Any]], total: int) -> Summary:
    """Adds up RunResult lines that were read as JSON.

    Args:
        results: At most one for a sample.
        total: Samples in the dataset.
    """
    statuses: Counter[str] = Counter()
    failures = Failures()
    tokens: Counter[str] = Counter(input=0, output=0, total=0)
    latencies, first_tokens = array("d"), array("d")
    costs = array("d")
    attempts = rate_limited = 0
    for result in results:
        statuses[result["status"]] += 1
        attempts += result["attempts"]
        rate_limited += _rate_limited(result)
        response = result["response"]
        if response is None:
            failures.add(result["error"])
            continue
        if result["latency_ms"] is not None:
            latencies.append(result["latency_ms"])
        if result.get("cost_usd") is not None:
            costs.append(result["cost_usd"])
        if response.get("time_to_first_token_ms") is not None:
            first_tokens.append(response["time_to_first_token_ms"])
        tokens.update({name: n for name, n in (response["tokens"] or {}).items() if n is not None})
    settled = statuses.total()
    if total > settled:
        statuses["owed"] = total - settled
    return Summary(
        total=total,
        status_counts=dict(statuses),
        error_counts=dict(failures.counts.most_common()),
        error_messages=failures.commonest(),
        latency_ms=distribution(latencies),
        time_to_first_token_ms=distribution(first_tokens),
        tokens=dict(tokens),
        attempts=attempts,
        retries=attempts - settled,
        rate_limited=rate_limited,
        cost_usd=round(math.fsum(costs), 9) if costs else None,
    )


def distribution(values: Iterable[float]) -> dict[str, float] | None:
    """min, mean, p50, p90, p99, max; None of nothing.

    A percentile is the smallest value with at least that share of all values at or below it
    (nearest rank), so that it is a latency some sample had.
    """
    ordered = sorted(values)
    if not ordered:
        return None
    count = len(ordered)
    ranks = {
        name: ordered[max(0, math.ceil(share * count) - 1)] for name, share in _PERCENTILES.items()
    }
    return {
        "min": ordered[0],
        "mean": round(math.fsum(ordered) / count, 3),
        **ranks,
        "max": ordered[-1],
    }


def _rate_limited(result: Mapping[str, Any]) -> int:
    log = result.get("attempt_log")
    if log:
        return sum(attempt["status_code"] == _TOO_MANY_REQUESTS for attempt in log)
    error = result["error"]
    return int(error is not None and error["status_code"] == _TOO_MANY_REQUESTS)
