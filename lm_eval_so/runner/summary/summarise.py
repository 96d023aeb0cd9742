"""Results in, numbers out; streaming, in memory that does not grow."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field

from lm_eval_so.runner.models import Value
from lm_eval_so.runner.summary.agreement import Agreement, RepeatAgreement
from lm_eval_so.runner.summary.answers import Answers
from lm_eval_so.runner.summary.by_replica import ByReplica, ReplicaSummary
from lm_eval_so.runner.summary.by_tag import ByTag, TagSummary
from lm_eval_so.runner.summary.counts import from_parts, in_parts
from lm_eval_so.runner.summary.failures import Failures
from lm_eval_so.runner.summary.histogram import Histogram
from lm_eval_so.runner.summary.missing import Missing
from lm_eval_so.runner.summary.served import Names, Served
from lm_eval_so.runner.summary.totals_state import VERSION, TotalsState, checked_state

_TOO_MANY_REQUESTS = 429
_MODEL, _FINGERPRINT = "model", "system_fingerprint"


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
    """Adds up RunResult lines that were read as JSON, in memory that does not grow with them.

    Those of shards, merged in dataset order, are just those of the whole, if each sample has its
    lines. In any other order all numbers are the same, but of words that come equally often, and
    of more tags, models, messages, ... than are counted, others may be told.

    Args:
        begins_at: Position in the dataset of the first line's sample. Above 0 it is a shard: what
            the earlier ones have counted is not known to it, so it counts all words that come.
            The size of the shard bounds them, and the whole that it is merged into.
    """

    def __init__(self, begins_at: int = 0) -> None:
        most = _bounds(begins_at)
        self._begins_at = self._position = begins_at
        self._statuses: Counter[str] = Counter()
        self._failures = Failures(**most)
        self._answers = Answers()
        self._missing = Missing(**most)
        self._by_tag = ByTag(**most)
        self._by_replica = ByReplica(**most)
        self._models, self._fingerprints = Names(_MODEL, **most), Names(_FINGERPRINT, **most)
        self._agreement = Agreement()
        self._tokens: Counter[str] = Counter(input=0, output=0, total=0)
        self._latencies, self._first_tokens = Histogram(), Histogram()
        self._first_answer_tokens = Histogram()
        self._cost: int | None = None  # in units of 1e-12 US dollars
        self._settled = self._attempts = self._rate_limited = 0

    def add(self, result: Mapping[str, Any]) -> None:
        """Counts a line; the lines come in dataset order."""
        index = self._position
        self._position += not result.get("repeat")
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
            self._cost = (self._cost or 0) + in_parts(result["cost_usd"])
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
        if other._cost is not None:
            self._cost = (self._cost or 0) + other._cost
        self._position = max(self._position, other._position)
        self._settled += other._settled
        self._attempts += other._attempts
        self._rate_limited += other._rate_limited

    def state(self) -> dict[str, Any]:
        """The same as JSON data, for `of_state`. No line of its last sample is to come."""
        state: TotalsState = {
            "version": VERSION,
            "begins_at": self._begins_at,
            "position": self._position,
            "settled": self._settled,
            "attempts": self._attempts,
            "rate_limited": self._rate_limited,
            "cost": None if self._cost is None else str(self._cost),
            "statuses": dict(self._statuses),
            "tokens": dict(self._tokens),
            "failures": self._failures.state(),
            "answers": self._answers.state(),
            "missing": self._missing.state(),
            "by_tag": self._by_tag.state(),
            "by_replica": self._by_replica.state(),
            "models": self._models.state(),
            "system_fingerprints": self._fingerprints.state(),
            "agreement": self._agreement.state(),
            "latencies": self._latencies.state(),
            "first_tokens": self._first_tokens.state(),
            "first_answer_tokens": self._first_answer_tokens.state(),
        }
        return {**state}

    @classmethod
    def of_state(cls, state: object) -> Self:
        """What `state` has given.

        Raises:
            ValueError: It is no state, or one of another version: the lines are to be counted.
        """
        found = checked_state(state)
        try:
            return cls(found["begins_at"])._restored(found)
        except (ValueError, IndexError) as error:
            raise ValueError(f"these are no totals of result lines: {error}") from error

    def _restored(self, state: TotalsState) -> Self:
        most = _bounds(self._begins_at)
        self._position, self._settled = state["position"], state["settled"]
        self._attempts, self._rate_limited = state["attempts"], state["rate_limited"]
        self._cost = None if state["cost"] is None else int(state["cost"])
        self._statuses, self._tokens = Counter(state["statuses"]), Counter(state["tokens"])
        self._failures = Failures.of_state(state["failures"], **most)
        self._answers = Answers.of_state(state["answers"])
        self._missing = Missing.of_state(state["missing"], **most)
        self._by_tag = ByTag.of_state(state["by_tag"], **most)
        self._by_replica = ByReplica.of_state(state["by_replica"], **most)
        self._models = Names.of_state(_MODEL, state["models"], **most)
        self._fingerprints = Names.of_state(_FINGERPRINT, state["system_fingerprints"], **most)
        self._agreement = Agreement.of_state(state["agreement"])
        self._latencies = Histogram.of_state(state["latencies"])
        self._first_tokens = Histogram.of_state(state["first_tokens"])
        self._first_answer_tokens = Histogram.of_state(state["first_answer_tokens"])
        return self

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
            cost_usd=None if self._cost is None else round(from_parts(self._cost), 9),
        )


def _bounds(begins_at: int) -> dict[str, float]:
    """What the first shard leaves out of its tables, the whole leaves out too; see `Totals`."""
    return {"most": math.inf} if begins_at else {}


def _rate_limited(result: Mapping[str, Any]) -> int:
    log = result.get("attempt_log")
    if log:
        return sum(attempt["status_code"] == _TOO_MANY_REQUESTS for attempt in log)
    error = result["error"]
    return int(error is not None and error["status_code"] == _TOO_MANY_REQUESTS)
