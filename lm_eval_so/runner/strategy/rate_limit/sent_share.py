"""The share of failures among the requests that were sent at about the same time."""

from collections import deque
from typing import NamedTuple

SPAN = 10  # requests; twice as many doubled the refusals of an overshoot


class Neighbours(NamedTuple):
    """The requests that were sent next to one that failed.

    Attributes:
        share: How many of them failed, itself included; from 0 to 1.
        lowest: The least of the values that were given with those.
    """

    share: float
    lowest: int


class SentShare:
    """Compares requests by the order in which they were *sent*, not in which they came back.

    A refusal is back within milliseconds and an answer within seconds. By the order of coming back,
    each new start would look like an overload, and so would a few refusals among hundreds of
    requests that left together.
    """

    def __init__(self) -> None:
        self._last = 0
        self._marked: deque[tuple[int, int]] = deque(maxlen=2 * SPAN)

    def sent(self) -> int:
        """Counts a request that leaves; returns its number."""
        self._last += 1
        return self._last

    def add(self, number: int, value: int = 0) -> Neighbours:
        """Counts a failure of the request of this number."""
        self._marked.append((number, value))
        before = [one for at, one in self._marked if number - SPAN < at <= number]
        after = [one for at, one in self._marked if number <= at < number + SPAN]
        most = max(before, after, key=len)
        return Neighbours(len(most) / SPAN, min(most))

    def forget(self) -> None:
        """Starts over."""
        self._marked.clear()
