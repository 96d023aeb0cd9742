"""Results in, numbers out; streaming, in memory that does not grow."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from lm_eval_so.runner.models import Value
from lm_eval_so.runner.summary.failures import Failures
from lm_eval_so.runner.summary.histogram import Histogram

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
    error_messages: dict[str, str] = Field(default_factory=dict)
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


class Totals:
    """Adds up RunResult lines that were read as JSON, in memory that does not grow with them."""

    def __init__(self) -> None:
        self._statuses: Counter[str] = Counter()
        self._failures = Failures()
        self._tokens: Counter[str] = Counter(input=0, output=0, total=0)
        self._latencies, self._first_tokens = Histogram(), Histogram()
        self._cost_usd: float | None = None
        self._attempts = self._rate_limited = 0

    def add(self, result: Mapping[str, Any]) -> None:
        """Counts a line."""
        self._statuses[result["status"]] += 1
        self._attempts += result["attempts"]
        self._rate_limited += _rate_limited(result)
        response = result["response"]
        if response is None:
            self._failures.add(result["error"])
            return
        if result["latency_ms"] is not None:
            self._latencies.add(result["latency_ms"])
        if result.get("cost_usd") is not None:
            self._cost_usd = (self._cost_usd or 0.0) + result["cost_usd"]
        if response.get("time_to_first_token_ms") is not None:
            self._first_tokens.add(response["time_to_first_token_ms"])
        for name, count in (response["tokens"] or {}).items():
            self._tokens[name] += count or 0

    def summary(self, total: int) -> Summary:
        """What they add up to.

        Args:
            total: Samples in the dataset.
        """
        settled = self._statuses.total()
        owed = {"owed": total - settled} if total > settled else {}
        return Summary(
            total=total,
            status_counts={**self._statuses, **owed},
            error_counts=dict(self._failures.counts.most_common()),
            error_messages=self._failures.commonest(),
            latency_ms=self._latencies.distribution(),
            time_to_first_token_ms=self._first_tokens.distribution(),
            tokens=dict(self._tokens),
            attempts=self._attempts,
            retries=self._attempts - settled,
            rate_limited=self._rate_limited,
            cost_usd=None if self._cost_usd is None else round(self._cost_usd, 9),
        )


def _rate_limited(result: Mapping[str, Any]) -> int:
    log = result.get("attempt_log")
    if log:
        return sum(attempt["status_code"] == _TOO_MANY_REQUESTS for attempt in log)
    error = result["error"]
    return int(error is not None and error["status_code"] == _TOO_MANY_REQUESTS)
