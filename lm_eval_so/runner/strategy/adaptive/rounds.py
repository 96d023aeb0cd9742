"""What a number of requests in flight gave, measured over a round of answers."""

from math import inf, log
from typing import NamedTuple

_FEW = 5  # requests; fewer give no rate
_INSTANT = 1e-6  # seconds, that an answer takes at the least


class Answer(NamedTuple):
    """An answer, as the controller needs it.

    Attributes:
        latency_s: From sending to the answer.
        tokens: That the model wrote; 0 where it is unknown.
        in_use: Slots taken now, its own included.
        held: Slots taken when it began, its own included.
        paced_s: Time within the slot that it waited for a rate limit.
        wanted: Whether another request waits for a slot.
    """

    latency_s: float
    tokens: int
    in_use: int
    held: int
    paced_s: float
    wanted: bool = True


class Round(NamedTuple):
    """What so many requests in flight gave.

    Attributes:
        held: Requests in flight, on average.
        latency: Seconds, on average.
        length: Tokens of an answer, on average; 0 where it is unknown.
        slowest: The longest latency, in seconds.
        seconds: Length of the round.
    """

    held: float
    latency: float
    length: float
    slowest: float = 0.0
    seconds: float = 0.0

    @property
    def answers(self) -> float:
        """Answers a second, by Little's law.

        Requests that start together come back together, so that a count over so short a time is
        off by a whole wave of them.
        """
        return self.held / self.latency

    @property
    def per_token(self) -> float:
        """Seconds per token of an answer; the latency where the tokens are unknown."""
        return self.latency / (self.length or 1.0)

    def growth_over(self, other: "Round") -> float:
        """How much of what was added in flight came back as rate: 1 all of it, 0 nothing.

        The better of answers and tokens: a dataset that is sorted by length moves one of them.
        """
        added = log(self.held / other.held)
        return max(change / added for change in self._changes(other))

    def keeps_up_with(self, other: "Round", share: float) -> bool:
        """Whether at least ``share`` of the other's rate is there."""
        changes = self._changes(other)
        return sum(changes) / len(changes) >= log(share)

    def _changes(self, other: "Round") -> list[float]:
        change = log(self.answers / other.answers)
        if self.length and other.length:
            return [change, change + log(self.length / other.length)]
        return [change]

    def blend(self, other: "Round", weight: float) -> "Round":
        """This one, moved towards the other."""
        return Round(*(a + weight * (b - a) for a, b in zip(self, other, strict=True)))


class Meter:
    """Collects answers until they make a round."""

    def __init__(self) -> None:
        self._shortest = float("inf")
        self.begin(0.0, 1)

    def begin(self, at: float, need: int, *, thorough: bool = False) -> None:
        """A new round: of the answers from ``at`` on, ``need`` at the least.

        A ``thorough`` one lasts as long as its slowest answer: the quick ones come back first.
        """
        self._at = at
        self._need = need
        self._thorough = thorough
        self._latency = self._slowest = 0.0
        self._count = self._wanted = self._tokens = self._held = 0

    def add(self, answer: Answer, now: float) -> None:
        """Adds an answer to the round."""
        if now < self._at:
            return
        self._count += 1
        self._wanted += answer.wanted
        self._tokens += answer.tokens
        self._held += answer.held
        self._latency += answer.latency_s
        self._slowest = max(self._slowest, answer.latency_s)

    def end(self, now: float, *, rate_to_beat: float = 0.0) -> Round | None:
        """The round, once it is long enough: the answers it needs, over at least one latency.

        Where it would take half as long again as at ``rate_to_beat``, it ends with the answers
        there are. Where no request waits for a slot, the answers say nothing about the server, and
        a new round begins.
        """
        elapsed = now - self._at
        if not self._count or elapsed <= 0:
            return None
        latency = max(self._latency / self._count, _INSTANT)
        least = self._slowest if self._thorough else min(self._shortest, latency)
        whole = self._count >= self._need and elapsed >= least
        if not whole and not elapsed * rate_to_beat > 1.5 * self._need:
            return None
        if 2 * self._wanted < self._count:
            self.begin(now, self._need, thorough=self._thorough)
            return None
        self._shortest = min(self._shortest, latency)
        means = (self._held / self._count, latency, self._tokens / self._count)
        return Round(*means, self._slowest, elapsed)


class Accepted:
    """Recent requests a second that were sent and not refused.

    A refusal is back at once, so this is known long before the answers come.
    """

    def __init__(self) -> None:
        # The last window and this one: when each began (the first with a request), and how many.
        self._windows = [(inf, 0), (inf, 0)]

    def add(self, now: float, latency: float) -> None:
        """Counts a request that leaves."""
        start, count = self._windows[1]
        self._windows[1] = (min(start, now), count + 1)
        if now - start > max(1.0, 4 * latency):
            self.restart(now)

    def take_back(self) -> None:
        """Takes back one that was refused."""
        start, count = self._windows[1]
        self._windows[1] = (start, count - 1)

    def restart(self, now: float) -> None:
        """Starts a new window, if the current one has enough requests for a rate."""
        if self._windows[1][1] >= _FEW:
            self._windows = [self._windows[1], (now, 0)]

    def per_second(self, now: float) -> float:
        """0 where there were none."""
        (before, earlier), (start, count) = self._windows
        if count < _FEW and earlier:
            start, count = before, count + earlier
        return max(count, 0) / max(now - start, _INSTANT)
