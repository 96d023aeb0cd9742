"""Counts and rates of a run while it runs."""

import time
from collections import deque
from collections.abc import Callable

from lm_eval_so.runner.engine.base import Live
from lm_eval_so.runner.models import RunResult

_WINDOW = 30.0  # seconds that a rate covers


class Tally:
    """Counts samples, failures and tokens.

    Attributes:
        done: Samples with an outcome, including those of earlier runs.
        kept: Samples that were already answered.
    """

    def __init__(self, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = self.failed = self.kept = 0
        self._tokens = self._results = 0
        self._clock = clock
        self._marks: deque[tuple[float, int, int]] = deque([(clock(), 0, 0)])

    def keep(self, count: int = 1) -> None:
        """Counts samples that were already answered."""
        self.kept += count
        self.done += count

    def add(self, result: RunResult) -> None:
        """Counts a result; a result that the disk lost is counted again."""
        if result.response is not None and result.response.tokens is not None:
            self._tokens += result.response.tokens.total or 0
        self.count(1, result.status != "ok")

    def count(self, delivered: int, failed: int) -> None:
        """Counts results of which no more is known."""
        self.done = min(self.done + delivered, self.total)
        self._results += delivered
        self.failed += failed
        now = self._clock()
        if now - self._marks[-1][0] >= 1:
            self._marks.append((now, self._results, self._tokens))
        while len(self._marks) > 1 and now - self._marks[0][0] > _WINDOW:
            self._marks.popleft()

    def retries(self, live: Live) -> int:
        """Requests of this run after the first of a sample, without those in flight."""
        return max(0, live.requests - live.in_flight - self._results)

    def rates(self) -> tuple[float, float]:
        """Results and tokens per second, over the last 30 seconds."""
        then, results, tokens = self._marks[0]
        elapsed = max(self._clock() - then, 1e-9)
        return (self._results - results) / elapsed, (self._tokens - tokens) / elapsed

    def remaining(self) -> float | None:
        """Seconds until the end at this rate; None if there is no rate yet."""
        rate, _ = self.rates()
        return (self.total - self.done) / rate if rate else None
