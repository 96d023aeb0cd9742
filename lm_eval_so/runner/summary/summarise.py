"""Results in, numbers out; streaming, in memory that does not grow."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from lm_eval_so.runner.models import Value
from lm_eval_so.runner.summary.agreement import Agreement, RepeatAgreement
from lm_eval_so.runner.summary.answers import Answers
from lm_eval_so.runner.summary.by_replica import ByReplica, ReplicaSummary
from lm_eval_so.runner.summary.by_tag import ByTag, TagSummary
from lm_eval_so.runner.summary.failures import Failures
from lm_eval_so.runner.summary.histogram import Histogram
from lm_eval_so.runner.summary.missing import Missing
from lm_eval_so.runner.summary.served import Names, Served

_TOO_MANY_REQUESTS = 429


def _is_empty(found: Mapping[str, Any]) -> bool:
    return not found


class Summary(Value):
    """What a set of results adds up to.

    Attributes:
        total: Samples in the dataset.
        status_counts: Samples by status; ``owed`` are those without an outcome.
        error_counts: Failed samples by type of error.
        error_messages: The commonest message of each type, on one line.
        finish_reasons: Answers by finish reason; each of several choices is one.
        truncated: Samples with an answer that a limit on its tokens cut off.
        refused: Samples with an answer that the model or a filter declined to give.
        empty: Samples with an answer without text or tool calls.
        missing: How failed or truncated samples differ from the others, a sentence each: every
            score of those that are left is biased then.
        by_tag: The results of each tag.
        by_replica: The results of each replica of a pool; empty without one.
        models: What served the answers, by the name that the server gave; the earliest first.
        system_fingerprints: The same by the server's name for its configuration.
        repeats: Whether the repeats of a sample agree; None where there are none.
        latency_ms: Of the answered samples, the last attempt alone: min, mean, p50, p90, p99, max.
        time_to_first_token_ms: The same of streamed answers, to the first piece of text, reasoning
            included.
        time_to_first_answer_token_ms: The same without the reasoning.
        tokens: input, output and total, as far as the server told; cached is a part of input,
            reasoning one of output.
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
    finish_reasons: dict[str, int] = Field(default_factory=dict)
    truncated: int = 0
    refused: int = 0
    empty: int = 0
    missing: tuple[str, ...] = ()
    by_tag: dict[str, TagSummary] = Field(default_factory=dict)
    by_replica: Annotated[dict[str, ReplicaSummary], Field(exclude_if=_is_empty)] = Field(
        default_factory=dict
    )
    models: dict[str, Served] = Field(default_factory=dict)
    system_fingerprints: dict[str, Served] = Field(default_factory=dict)
    repeats: RepeatAgreement | None = None
    latency_ms: dict[str, float] | None
    time_to_first_token_ms: dict[str, float] | None
    time_to_first_answer_token_ms: dict[str, float] | None = None
    tokens: dict[str, int]
    attempts: int
    retries: int
    rate_limited: int
    cost_usd: float | None = None
    requests: int = 0
    resumed: int = 0
    wall_time_s: float = 0.0
    results_per_s: float = 0.0

    @property
    def settled(self) -> int:
        """Samples that have an outcome."""
        return self.total - self.status_counts.get("owed", 0)

    @property
    def failed(self) -> int:
        """Samples that ended without an answer."""
        return self.settled - self.status_counts.get("ok", 0)


class Totals:
    """Adds up RunResult lines that were read as JSON, in memory that does not grow with them."""

    def __init__(self) -> None:
        self._statuses: Counter[str] = Counter()
        self._failures = Failures()
        self._answers = Answers()
        self._missing = Missing()
        self._by_tag = ByTag()
        self._by_replica = ByReplica()
        self._models, self._fingerprints = Names("model"), Names("system_fingerprint")
        self._agreement = Agreement()
        self._tokens: Counter[str] = Counter(input=0, output=0, total=0)
        self._latencies, self._first_tokens = Histogram(), Histogram()
        self._first_answer_tokens = Histogram()
        self._cost_usd: float | None = None
        self._settled = self._attempts = self._rate_limited = 0

    def add(self, result: Mapping[str, Any]) -> None:
        """Counts a line; the lines come in dataset order."""
        index = self._settled
        self._settled += 1
        self._statuses[result["status"]] += 1
        self._attempts += result["attempts"]
        self._rate_limited += _rate_limited(result)
        self._agreement.add(result)
        response = result["response"]
        if response is None:
            self._failures.add(result["error"])
            truncated = False
        else:
            truncated = self._answers.add(response).truncated
            self._add_answer(result, response)
        self._by_tag.add(result, truncated=truncated)
        self._by_replica.add(result)
        self._missing.add(index, result, truncated=truncated)

    def _add_answer(self, result: Mapping[str, Any], response: Mapping[str, Any]) -> None:
        self._models.add(result)
        self._fingerprints.add(result)
        if result["latency_ms"] is not None:
            self._latencies.add(result["latency_ms"])
        if result.get("cost_usd") is not None:
            self._cost_usd = (self._cost_usd or 0.0) + result["cost_usd"]
        if response.get("time_to_first_token_ms") is not None:
            self._first_tokens.add(response["time_to_first_token_ms"])
        if response.get("time_to_first_answer_token_ms") is not None:
            self._first_answer_tokens.add(response["time_to_first_answer_token_ms"])
        for name, count in (response["tokens"] or {}).items():
            self._tokens[name] += count or 0

    def merge(self, other: "Totals") -> None:
        """Counts all that the other has counted: the lines of another part of the dataset."""
        self._statuses.update(other._statuses)
        self._failures.merge(other._failures)
        self._answers.merge(other._answers)
        self._missing.merge(other._missing)
        self._by_tag.merge(other._by_tag)
        self._by_replica.merge(other._by_replica)
        self._models.merge(other._models)
        self._fingerprints.merge(other._fingerprints)
        self._agreement.merge(other._agreement)
        self._tokens.update(other._tokens)
        self._latencies.merge(other._latencies)
        self._first_tokens.merge(other._first_tokens)
        self._first_answer_tokens.merge(other._first_answer_tokens)
        if other._cost_usd is not None:
            self._cost_usd = (self._cost_usd or 0.0) + other._cost_usd
        self._settled += other._settled
        self._attempts += other._attempts
        self._rate_limited += other._rate_limited

    def summary(self, total: int) -> Summary:
        """What they add up to.

        Args:
            total: Samples in the dataset.
        """
        settled = self._settled
        owed = {"owed": total - settled} if total > settled else {}
        answers = self._answers
        return Summary(
            total=total,
            status_counts={**self._statuses, **owed},
            error_counts=dict(self._failures.counts.most_common()),
            error_messages=self._failures.commonest(),
            finish_reasons=dict(answers.finish_reasons.most_common()),
            truncated=answers.truncated,
            refused=answers.refused,
            empty=answers.empty,
            missing=tuple(self._missing.sentences()),
            by_tag=self._by_tag.summary(),
            by_replica=self._by_replica.summary(),
            models=self._models.summary(),
            system_fingerprints=self._fingerprints.summary(),
            repeats=self._agreement.summary(),
            latency_ms=self._latencies.distribution(),
            time_to_first_token_ms=self._first_tokens.distribution(),
            time_to_first_answer_token_ms=self._first_answer_tokens.distribution(),
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
