"""What a fake provider has seen."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

RESET = 0
GONE = 499


class Books:
    """Counts requests and answers, and how many were in flight at what time.

    Attributes:
        statuses: Requests by what they got; `RESET` for a reset connection, `GONE` for an answer
            that nobody waited for any more.
        answers: How often each question was answered, by a hash of its body.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.statuses: Counter[int] = Counter()
        self.answers: Counter[int] = Counter()
        self.tokens = 0
        self.in_flight = self.most_in_flight = 0
        self.first = self.last = self.at = 0.0
        self.area = 0.0  # requests in flight, summed over seconds
        self.times, self.areas = array("d"), array("d")  # at each answer

    def arrived(self) -> None:
        self.advance()
        self.first = self.first or self.at
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def left(self, status: int) -> None:
        self.advance()
        self.last = self.at
        self.in_flight -= 1
        self.statuses[status] += 1

    def answered(self, question: bytes, tokens: int) -> None:
        self.left(200)
        self.answers[hash(question)] += 1
        self.tokens += tokens
        self.times.append(self.at)
        self.areas.append(self.area)

    def advance(self) -> None:
        now = self.clock()
        self.area += self.in_flight * (now - self.at)
        self.at = now

    def since_first(self) -> float:
        """Seconds since the first request; 0 before it."""
        return self.clock() - self.first if self.first else 0.0

    def report(self) -> dict[str, Any]:
        """All of it, as JSON can have it. ``span_s`` is from the first request to the last answer;
        ``second_half`` and ``last_quarter`` are of the answers."""
        span = self.last - self.first
        return {
            "requests": self.statuses.total(),
            "tokens": self.tokens,
            "statuses": self.statuses,
            "span_s": span,
            "in_flight": {
                "most": self.most_in_flight,
                "mean": self.area / span if span else 0.0,
                "second_half": self.since(0.5)[1],
            },
            "answers": {
                "questions": len(self.answers),
                "most": max(self.answers.values(), default=0),
                "more_than_once": sum(count > 1 for count in self.answers.values()),
                "per_s": len(self.times) / span if span else 0.0,
                "last_quarter_per_s": self.since(0.75)[0],
            },
        }

    def since(self, share: float) -> tuple[float, float]:
        """Answers a second, and the mean in flight, once ``share`` of all answers were given."""
        if not self.times:
            return 0.0, 0.0
        start = int(share * (len(self.times) - 1))
        seconds = self.times[-1] - self.times[start]
        if not seconds:
            return 0.0, 0.0
        count = len(self.times) - 1 - start
        return count / seconds, (self.areas[-1] - self.areas[start]) / seconds
