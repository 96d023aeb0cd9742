"""The share of requests that something happened to, among those sent at about the same time."""

from collections import deque
from typing import NamedTuple

SPAN = 10  # requests; twice as many doubled the refusals of an overshoot


class Neighbours(NamedTuple):
    """What is known of the requests that were sent next to one.

    Attributes:
        share: Of them, those that it happened to as well, itself included; from 0 to 1.
        lowest: The least of the values that came with those.
    """

    share: float
    lowest: int


class SentShare:
    """Requests are compared by the order in which they were *sent*, not in which they came back.

    A refusal is back within milliseconds and an answer within seconds, so that each new start
    would look like an overload; and a few refusals among hundreds that leave together come back
    one after the other.
    """

    def __init__(self) -> None:
        self.last = 0
        self._marked: deque[tuple[int, int]] = deque(maxlen=2 * SPAN)

    def sent(self) -> int:
        """A request leaves; its number."""
        self.last += 1
        return self.last

    def add(self, number: int, value: int = 0) -> Neighbours:
        """It happened to the request of this number."""
        self._marked.append((number, value))
        before = [one for at, one in self._marked if number - SPAN < at <= number]
        after = [one for at, one in self._marked if number <= at < number + SPAN]
        most = max(before, after, key=len)
        return Neighbours(len(most) / SPAN, min(most))

    def forget(self) -> None:
        """Begins anew."""
        self._marked.clear()
