"""A token bucket: one limit, as the client keeps it."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, PositiveFloat

from lm_eval_so.runner.models import Value

_BURST_S = 0.8
"""Seconds' worth of a limit that may start at once; a provider's own bucket holds at least one."""
_SPARE_S = 0.1  # seconds' worth of a learned limit that is left in the provider's bucket
_SLOWEST = 1e-6  # units a second; less is damage
_SHADE = 0.01  # by which a learned rate is undercut, since clocks and roundings differ


class BucketState(Value):
    """A bucket in a file; see `Bucket`."""

    model_config = ConfigDict(allow_inf_nan=False)

    per_second: Annotated[float, Field(ge=_SLOWEST)]
    learned: bool
    capacity: PositiveFloat
    level: float
    at: float
    started: float
    latest_mark: float


class Bucket:
    """So many units a second, and a burst.

    Later starts can be taken in advance; the bucket is then ahead of the clock.

    Args:
        per_second: Units that come back a second.
        now: Seconds, on any clock; the bucket is full then.
        learned: Whether an answer header gave the limit; the provider's bucket can be of any size.
    """

    def __init__(self, per_second: float, now: float, *, learned: bool = False) -> None:
        self.per_second = per_second
        self.learned = learned
        self._capacity = max(1.0, per_second * _BURST_S)
        self._level = self._capacity
        self._at = now
        self._started = 0.0
        self._latest_mark = 0.0

    def state(self) -> BucketState:
        """The whole state, for another process."""
        return BucketState(
            per_second=self.per_second,
            learned=self.learned,
            capacity=self._capacity,
            level=self._level,
            at=self._at,
            started=self._started,
            latest_mark=self._latest_mark,
        )

    @classmethod
    def of_state(cls, state: BucketState) -> Self:
        """The bucket that another process left."""
        bucket = cls(state.per_second, state.at, learned=state.learned)
        bucket._capacity = state.capacity
        bucket._level = state.level
        bucket._started = state.started
        bucket._latest_mark = state.latest_mark
        return bucket

    def ready(self, amount: float) -> float:
        """When ``amount`` may start; more than the bucket holds needs a full bucket."""
        missing = min(amount, self._capacity) - self._level
        return self._at + max(0.0, missing) / self.per_second

    def take(self, now: float, amount: float) -> float:
        """Takes ``amount``; returns a mark to `learn` with."""
        self._refill(now)
        self._level -= amount
        self._started += amount
        return self._started

    def give_back(self, amount: float) -> None:
        """Returns units that were not used; a negative amount takes more."""
        self._level = min(self._capacity, self._level + amount)

    def learn(
        self, per_second: float, remaining: float, *, mark: float, began: float, now: float
    ) -> None:
        """Follows the limit that an answer gave.

        Args:
            per_second: The rate.
            remaining: Units left when the answer was made.
            mark: What `take` returned for the request.
            began: When the request started.
            now: When its answer came.
        """
        if mark < self._latest_mark:
            return  # the answer to a later request was more recent
        self._latest_mark = mark
        self.per_second = per_second * (1 - _SHADE)
        self._capacity = max(self._capacity, remaining)
        taken_since, come_back = self._started - mark, per_second * (now - began)
        # Some servers count a request when it comes, others when its answer leaves: take the lower.
        level = remaining - 1 - per_second * _SPARE_S + min(0.0, come_back - taken_since)
        self._level = min(level, self._capacity)
        self._at = now

    def _refill(self, now: float) -> None:
        if now > self._at:
            elapsed = now - self._at
            self._level = min(self._capacity, self._level + elapsed * self.per_second)
            self._at = now
