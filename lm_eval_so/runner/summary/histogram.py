"""Many durations in the memory of few: counted in buckets that are one percent wide."""

import math
from collections import Counter
from typing import Self, TypedDict

from lm_eval_so.runner.summary.counts import Parts, from_parts, in_parts, packed, unpacked

_WIDTH = math.log(1.01)
_NONE = -(2**31)  # the bucket of what is not above 0: before all others
_PERCENTILES = {"p50": 50, "p90": 90, "p99": 99}
_DIGITS = 5


class HistogramState(TypedDict):
    """A Histogram as JSON data; ``buckets`` are packed."""

    buckets: list[int]
    sum: Parts
    least: float | None
    most: float | None


class Histogram:
    """How often which value came, to one percent of the value.

    Milliseconds up to days fill some two thousand buckets, however many values there are. Two
    histograms add up to the one of all their values.

    Attributes:
        buckets: Values by the whole part of their logarithm to the base 1.01.
        sum: Of all values, in units of 1e-12.
        least, most: Of all values.
    """

    def __init__(self) -> None:
        self.buckets: Counter[int] = Counter()
        self.sum = 0
        self.least, self.most = math.inf, -math.inf

    def add(self, value: float) -> None:
        """Counts a value."""
        self.buckets[math.floor(math.log(value) / _WIDTH) if value > 0 else _NONE] += 1
        self.sum += in_parts(value)
        self.least, self.most = min(self.least, value), max(self.most, value)

    def merge(self, other: "Histogram") -> None:
        """Counts all that the other has counted."""
        self.buckets.update(other.buckets)
        self.sum += other.sum
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)

    def state(self) -> HistogramState:
        """The same as JSON data."""
        least, most = (self.least, self.most) if self.buckets else (None, None)
        return {"buckets": packed(self.buckets), "sum": str(self.sum), "least": least, "most": most}

    @classmethod
    def of_state(cls, state: HistogramState) -> Self:
        """What `state` has given."""
        histogram = cls()
        histogram.buckets = unpacked(state["buckets"])
        histogram.sum = int(state["sum"])
        if state["least"] is not None and state["most"] is not None:
            histogram.least, histogram.most = state["least"], state["most"]
        return histogram

    def distribution(self) -> dict[str, float] | None:
        """min, mean, p50, p90, p99, max; None of nothing.

        A percentile is the smallest value with at least that share of all values at or below it
        (nearest rank), to one percent; min, mean and max are exact.
        """
        count = self.buckets.total()
        if not count:
            return None
        ranks = {name: -(-count * share // 100) for name, share in _PERCENTILES.items()}
        return {
            "min": self.least,
            "mean": round(from_parts(self.sum, count), 3),
            **{name: self._at(rank) for name, rank in ranks.items()},
            "max": self.most,
        }

    def _at(self, rank: int) -> float:
        """The value of this rank, from 1: the middle of its bucket."""
        seen = 0
        for bucket, count in sorted(self.buckets.items()):
            seen += count
            if seen >= rank:
                middle = float(f"{math.exp((bucket + 0.5) * _WIDTH):.{_DIGITS}g}")
                return min(max(middle, self.least), self.most)
        return self.most
