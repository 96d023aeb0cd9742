"""Counts and rates of a run as it goes on."""

import time
from collections import deque
from collections.abc import Callable

from lm_eval_so.runner.engine.base import Live
from lm_eval_so.runner.models import RunResult

_WINDOW = 30.0  # seconds that a rate looks back


class Tally:
    """What a person wants to know while waiting.

    Attributes:
        done: Samples with an outcome, those of earlier runs included.
    """

    def __init__(self, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = self.failed = self.kept = 0
        self._tokens = self._results = 0
        self._clock = clock
        self._marks: deque[tuple[float, int, int]] = deque([(clock(), 0, 0)])

    def keep(self) -> None:
        """Counts a sample that had its answer."""
        self.kept += 1
        self.done += 1

    def add(self, result: RunResult) -> None:
        """Counts a result; what a disk has lost comes once more."""
        self.done = min(self.done + 1, self.total)
        self._results += 1
        self.failed += result.status != "ok"
        if result.response is not None and result.response.tokens is not None:
            self._tokens += result.response.tokens.total or 0
        now = self._clock()
        if now - self._marks[-1][0] >= 1:
            self._marks.append((now, self._results, self._tokens))
        while len(self._marks) > 1 and now - self._marks[0][0] > _WINDOW:
            self._marks.popleft()

    def retries(self, live: Live) -> int:
        """Requests of this run that were no sample's first, those in flight set aside."""
        return max(0, live.requests - live.in_flight - self._results)

    def rates(self) -> tuple[float, float]:
        """Results and tokens per second of late."""
        then, results, tokens = self._marks[0]
        elapsed = max(self._clock() - then, 1e-9)
        return (self._results - results) / elapsed, (self._tokens - tokens) / elapsed

    def remaining(self) -> float | None:
        """Seconds still to go at this rate; None where there is no telling."""
        rate, _ = self.rates()
        return (self.total - self.done) / rate if rate else None
