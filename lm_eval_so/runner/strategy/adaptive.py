"""How many requests at once: as many as the server takes, found out while the run goes on.

Slow start and additive increase, multiplicative decrease, as TCP does it (RFC 5681), with
requests in the place of segments and 429, 503, Retry-After or swelling latency in the place of
loss.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from lm_eval_so.runner.config.schema import AutoConcurrency

_AFTER_OVERSHOOT = 0.5  # slow start may have doubled beyond what the server takes
_AFTER_PROBE = 0.85  # later growth is by one a round trip, so that little is given up
_SWOLLEN = 2.0  # times the lowest latency seen, on average over a round
_SMOOTHING = 0.1
_LEAST_ANSWERS = 20  # before latency is judged
_LONGEST_HISTORY = 200


class Change(NamedTuple):
    """A step of the history: seconds since the start, the limit from then on, and why."""

    at_s: float
    limit: int
    reason: str


class Adaptive:
    """The limit on requests at once.

    Args:
        options: Bounds and start; with equal bounds it never changes.
    """

    def __init__(
        self, options: AutoConcurrency, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._options = options
        self.clock = clock
        self._began = self._cut_at = clock()
        self._size = float(options.start)
        self._slow_start = True
        self._lowest = self._smooth = 0.0
        self._answers = 0
        self.history: list[Change] = []
        self._note("start")

    @property
    def limit(self) -> int:
        """Requests at once."""
        return int(self._size)

    def answered(self, *, began: float, latency_ms: float, in_use: int) -> None:
        """An answer came.

        Args:
            began: When its request got its slot, on the clock.
            latency_ms: How long it took.
            in_use: Slots that were taken, its own included.
        """
        if self._is_swollen(latency_ms):
            self.overloaded(began=began, reason="latency")
        elif in_use >= self.limit and self._size < self._options.max:
            self._size += 1 if self._slow_start else 1 / self._size
            self._size = min(self._size, self._options.max)
            if self.limit >= 2 * self.history[-1].limit or self.limit == self._options.max:
                self._note("growth")

    def overloaded(self, *, began: float, reason: str) -> None:
        """The server has too much to do; what was under way at the last cut says nothing new."""
        if began < self._cut_at:
            return
        factor = _AFTER_OVERSHOOT if self._slow_start else _AFTER_PROBE
        self._slow_start = False
        self._size = max(self._size * factor, self._options.min)
        self._cut_at = self.clock()
        self._answers = 0
        self._smooth = 0.0
        self._note(reason)

    def _is_swollen(self, latency_ms: float) -> bool:
        self._answers += 1
        if self._answers == 1:
            self._smooth = latency_ms
        self._smooth += _SMOOTHING * (latency_ms - self._smooth)
        if self._answers < _LEAST_ANSWERS:
            return False
        self._lowest = min(self._lowest or self._smooth, self._smooth)
        return self._smooth > _SWOLLEN * self._lowest and self._size > self._options.start

    def _note(self, reason: str) -> None:
        if len(self.history) < _LONGEST_HISTORY:
            self.history.append(Change(round(self.clock() - self._began, 3), self.limit, reason))
