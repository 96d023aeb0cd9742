"""A limit of so many units a minute, as the client keeps it."""

_BURST_S = 0.8
"""Seconds' worth of a limit that may start at once; a provider's own bucket holds at least one."""
_SPARE = 0.1  # share of what a provider's bucket can hold that is left in it
_SHADE = 0.01  # by which a learned rate is undercut, since clocks and roundings differ


class Bucket:
    """A token bucket in which later units can be reserved: who comes first goes first.

    Reservations move the bucket's clock ahead of the real one, so that the level is always that of
    the moment of the last start.

    Args:
        per_second: Units that come back a second.
        learned: Whether the limit was told by the provider, whose bucket can be of any size.
    """

    def __init__(self, per_second: float, now: float, *, learned: bool = False) -> None:
        self.per_second = per_second
        self.learned = learned
        self.capacity = max(1.0, per_second * _BURST_S)
        self.started = 0.0
        self._level = self.capacity
        self._at = now
        self._reserved = 0.0
        self._latest = -1.0

    def ready_at(self, now: float, amount: float) -> float:
        """When ``amount`` may start; an amount above all that the bucket holds needs it full."""
        level = self._level_at(now)
        missing = min(amount, self.capacity) - level
        return max(now, self._at) + max(0.0, missing) / self.per_second

    def reserve(self, start: float, amount: float) -> None:
        """Takes ``amount`` at ``start``, a time that `ready_at` gave."""
        self._level = self._level_at(start) - amount
        self._at = max(start, self._at)
        self._reserved += amount

    def begin(self, amount: float) -> float:
        """What was reserved starts now; returns a mark to `learn` with."""
        self._reserved -= amount
        self.started += amount
        return self.started

    def give_back(self, amount: float, *, reserved: bool = False) -> None:
        """Returns units that were not used; a negative amount takes what was used beyond."""
        self._level = min(self.capacity, self._level + amount)
        if reserved:
            self._reserved -= amount

    def learn(
        self, per_second: float, remaining: float, mark: float, began: float, now: float
    ) -> None:
        """Takes over what an answer told.

        Args:
            per_second: The rate.
            remaining: Units left when the answer was made.
            mark: What `begin` returned for the request.
            began: When the request started.
            now: When its answer came.
        """
        if mark < self._latest:
            return  # an answer to a later request has told more
        self._latest = mark
        self.per_second = per_second * (1 - _SHADE)
        self.capacity = max(self.capacity, remaining)
        since = per_second * (now - began)
        usable = remaining - 1 - self.capacity * _SPARE - (self.started - mark) + since
        self._level = min(usable, self.capacity) - self._reserved
        self._at = now

    def _level_at(self, moment: float) -> float:
        refilled = max(0.0, moment - self._at) * self.per_second
        return min(self.capacity, self._level + refilled)
