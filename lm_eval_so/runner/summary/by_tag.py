"""The results of each tag by themselves."""

from collections.abc import Mapping
from typing import Any, Self, TypedDict

from lm_eval_so.runner.models import Value
from lm_eval_so.runner.summary.counts import Number
from lm_eval_so.runner.summary.histogram import Histogram, HistogramState

_MOST_TAGS = 200


class TagSummary(Value):
    """The samples of one tag.

    Attributes:
        n: Samples with an outcome, failed ones included: what a share is of.
        truncated: Samples whose answer was cut off.
        tokens: Of prompts and answers together.
        latency_p50_ms: Of the answered samples; None without any.
    """

    n: int
    ok: int
    failed: int
    truncated: int
    tokens: int
    latency_p50_ms: float | None


class TagState(TypedDict):
    """The samples of a tag as JSON data."""

    n: Number
    ok: Number
    truncated: Number
    tokens: int
    latencies: HistogramState


class _Tag:
    __slots__ = ("latencies", "n", "ok", "tokens", "truncated")

    def __init__(self) -> None:
        self.n = self.ok = self.truncated = self.tokens = 0
        self.latencies = Histogram()

    def merge(self, other: "_Tag") -> None:
        self.n += other.n
        self.ok += other.ok
        self.truncated += other.truncated
        self.tokens += other.tokens
        self.latencies.merge(other.latencies)

    def state(self) -> TagState:
        return {
            "n": self.n,
            "ok": self.ok,
            "truncated": self.truncated,
            "tokens": self.tokens,
            "latencies": self.latencies.state(),
        }

    @classmethod
    def of_state(cls, state: TagState) -> Self:
        tag = cls()
        tag.n, tag.ok = state["n"], state["ok"]
        tag.truncated, tag.tokens = state["truncated"], state["tokens"]
        tag.latencies = Histogram.of_state(state["latencies"])
        return tag

    def summary(self) -> TagSummary:
        latency = self.latencies.distribution()
        return TagSummary(
            n=self.n,
            ok=self.ok,
            failed=self.n - self.ok,
            truncated=self.truncated,
            tokens=self.tokens,
            latency_p50_ms=latency and latency["p50"],
        )


class ByTag:
    """Adds up results by each of their samples' tags.

    A sample of two tags counts under both.

    Args:
        most: Tags that are counted: the first that come.
    """

    def __init__(self, most: float = _MOST_TAGS) -> None:
        self._most = most
        self._tags: dict[str, _Tag] = {}

    def add(self, result: Mapping[str, Any], *, truncated: bool) -> None:
        """Counts a RunResult line."""
        tags = result["request_context"]["sample_tags"]
        for name in dict.fromkeys(tags) if len(tags) > 1 else tags:
            tag = self._of(name)
            if tag is None:
                continue
            tag.n += 1
            tag.truncated += truncated
            response = result["response"]
            if response is not None:
                tag.ok += 1
                tag.tokens += (response["tokens"] or {}).get("total") or 0
                if result["latency_ms"] is not None:
                    tag.latencies.add(result["latency_ms"])

    def merge(self, other: "ByTag") -> None:
        """Counts all that the other has counted."""
        for name, theirs in other._tags.items():
            tag = self._of(name)
            if tag is not None:
                tag.merge(theirs)

    def state(self) -> dict[str, TagState]:
        """The same as JSON data."""
        return {name: tag.state() for name, tag in self._tags.items()}

    @classmethod
    def of_state(cls, state: Mapping[str, TagState], most: float = _MOST_TAGS) -> Self:
        """What `state` has given."""
        tags = cls(most)
        tags._tags = {name: _Tag.of_state(tag) for name, tag in state.items()}
        return tags

    def summary(self) -> dict[str, TagSummary]:
        """By tag, in alphabetical order."""
        return {name: self._tags[name].summary() for name in sorted(self._tags)}

    def _of(self, name: str) -> _Tag | None:
        found = self._tags.get(name)
        if found is None and len(self._tags) < self._most:
            found = self._tags[name] = _Tag()
        return found
