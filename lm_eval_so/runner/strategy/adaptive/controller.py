"""Finds out how many requests at once bring the most answers a second.

Only bursts of refusals cut. Latency alone never does: a server that batches answers gets slower
with each request in flight, while it gives more and more answers a second. So growth is judged by
the rate it brings, and fewer requests at once are tried where more of them bring nothing.
"""

import time
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from lm_eval_so.runner.config.schema import AutoConcurrency
from lm_eval_so.runner.strategy.adaptive.phases import Climb, More, Phase, Probe, Ramp
from lm_eval_so.runner.strategy.adaptive.refusals import Refusals
from lm_eval_so.runner.strategy.adaptive.rounds import Accepted, Answer, Meter

_FAST, _SLOW = 3.0, 0.5  # slots added for each answer, before the first burst and after it
_NEAR = 0.97  # of the slots that a burst has shown there are
_SURE = 0.9  # of what a round was answered at; a refusal below this is not for want of room
_PACED = 0.1  # share of a slot's time beyond which a rate limit holds requests back, and not slots
_TOO_MANY_REQUESTS = 429  # the status of a limit on starts; that on slots is 503, or none
_SMOOTHING = 0.05
_SHORTEST_WAIT, _LONGEST_WAIT = 4, 16  # rounds to hold after a burst
_LONGEST_HISTORY = 200


class Change(NamedTuple):
    """A step of the history: seconds since the start, the limit from then on, and why."""

    at_s: float
    limit: int
    reason: str


class Adaptive:
    """The limit on requests at once.

    The rule and its constants were tried in virtual time against some 50 simulated servers;
    `tests/runner/strategy/test_pace_of_servers.py` has those that matter most.

    Args:
        options: Bounds; with equal bounds the limit never changes.
        start: Requests at once to begin with.
        rate_limited: Called when requests are refused although there is room, which no concurrency
            cures. Gets the answers a second that came meanwhile, and the usual share of refusals.
        clock: Seconds; never goes back.

    Attributes:
        answers: Answers so far.
        history: How the limit changed, and why; the first 200 steps.

    `Tuner` describes what the phases read and set.
    """

    def __init__(
        self,
        options: AutoConcurrency,
        start: int,
        *,
        rate_limited: Callable[[float, float], None] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.least, self.most = options.min, options.max
        self._bounds = options.min, options.max, start
        self.size = float(start)
        self.grow = _FAST
        self.wait, self.patience = 1, 2
        self.ceiling: int | None = None
        self.shortest = inf
        self.history: list[Change] = []
        self._rate_limited = rate_limited
        self._clock = clock
        self._began = clock()
        self._cut_at = -inf
        self._last = self._cut_after = 0  # numbers of requests
        self._phase: Phase = Ramp()
        self._refusals, self._failures = Refusals(), Refusals()
        self._meter = Meter()
        self._latency = self._deviation = self._paced = 0.0  # EWMA
        self._proven = 0.0
        self.answers = 0
        self._accepted = Accepted()
        self._draining = False
        self._note("start")
        self._meter.begin(self._began, self._phase.answers(self.limit))

    @property
    def limit(self) -> int:
        """Requests at once."""
        return int(self.size)

    @property
    def known(self) -> float:
        """Slots just below those that a burst has shown there are, where few are refused."""
        return self.most if self.ceiling is None else max(self.least, round(_NEAR * self.ceiling))

    def bound(self, least: int, most: int, start: int) -> None:
        """Sets other bounds, as other processes take a share or leave one.

        Args:
            least: Requests at once.
            most: Requests at once; 0 to rest.
            start: Where to begin, and to begin again after a rest.
        """
        if (least, most, start) == self._bounds:
            return
        self._bounds = least, most, start
        size = self.size if self.most and self.answers else start
        self.least, self.most = least, most
        self.size = float(min(max(size, least), most))
        self._note("share")

    def sent(self) -> int:
        """Counts a request that got its slot; returns its number."""
        self._accepted.add(self._clock(), self._latency)
        self._failures.sent()
        self._last = self._refusals.sent()
        return self._last

    def refused(self, number: int, held: int, status: int | None) -> bool:
        """Notes a request that was refused for want of room, or failed in a way that may mean it.

        Args:
            number: Of the request, as `sent` gave it.
            held: Slots that were taken when it began, its own included.
            status: That the server gave; None where the connection failed.

        Returns:
            Whether it was one of a burst.
        """
        self._accepted.take_back()
        if number <= self._cut_after:
            return True  # under way at the last burst: nothing new
        kind = self._failures if status is None else self._refusals
        if not kind.add(number, held):
            return False
        self._burst(self._clock(), kind.lowest, status)
        return True

    def answered(self, answer: Answer) -> None:
        """Notes an answer."""
        now = self._clock()
        self.answers += 1
        self._learn(answer)
        if answer.wanted and self._paced < _PACED and self.size < self.most:
            self.size = min(self.most, self.size + self._phase.growth(self))
        if self._draining and answer.in_use <= self.limit + 1:
            self._draining = False
            self._measure(now, new=True)
        if not self._draining:
            self._meter.add(answer, now)
            self._round(now)

    def _learn(self, answer: Answer) -> None:
        weight = _SMOOTHING if self.answers > 1 else 1.0
        away = answer.latency_s - self._latency
        self._latency += weight * away
        if self.answers > 1:
            self._deviation += weight * (abs(away) - self._deviation)
        held_back = answer.paced_s / ((answer.paced_s + answer.latency_s) or 1.0)
        self._paced += weight * (held_back - self._paced)

    def _round(self, now: float) -> None:
        found = self._meter.end(now, rate_to_beat=self._phase.rate_to_beat())
        if found is None:
            return
        self.shortest = min(self.shortest, found.latency)
        self._proven = max(self._proven, found.held)
        following = self._phase.next(self, found)
        if following is None:
            self._measure(now)
        else:
            self._enter(following, now)

    def _enter(self, phase: Phase, now: float) -> None:
        self._phase = phase
        self.size = min(max(self.size, self.least), self.most)
        self._draining = phase.drains
        self._measure(now, new=True)
        self._note(phase.name)

    def _measure(self, now: float, *, new: bool = False) -> None:
        """Starts a round once what is in flight has gone through: the slow ones too."""
        ramp = isinstance(self._phase, Ramp)
        settled = 0.0 if ramp or not new else self._latency + 2 * self._deviation
        self._meter.begin(now + settled, self._phase.answers(self.limit), thorough=not ramp)

    def _burst(self, now: float, lowest: int, status: int | None) -> None:
        """Cuts to where requests were answered; where there is room, teaches a rate instead."""
        rate = self._accepted.per_second(now)
        room = lowest <= max(self.least, _SURE * self._proven)
        if status is None and (room or lowest <= (self.ceiling or 0)):
            # One server of several is gone, or the network is bad: fewer at once do not help.
            self._failures.expect()
            self.ceiling = None
            self._enter(Ramp(), now)
            return
        if isinstance(self._phase, Probe | More):
            self.wait *= 2
        if isinstance(self._phase, More):
            self.size = self._phase.back
        self.wait = min(max(self.wait, _SHORTEST_WAIT), _LONGEST_WAIT)
        if (room or status == _TOO_MANY_REQUESTS) and rate > 0:
            self._rate_limited(rate, self._refusals.usual)
            self.ceiling, self._proven = None, 0.0
            follows: Phase = Ramp()
        else:
            self._cut_below(lowest, again=now - self._cut_at < 2 * self._latency)
            follows = Climb()
        self.grow = _SLOW
        self._cut_at, self._cut_after = now, self._last
        self._accepted.restart(now)
        self._enter(follows, now)

    def _cut_below(self, lowest: int, *, again: bool) -> None:
        """Down to the slots there are; ``again``, soon after a cut: they were too high a guess."""
        self.ceiling = min(max(lowest - 1, self.least), max(self.limit - 1, self.least))
        size = self.known
        if again:
            size = min(size, max(self._proven, self.size / 2))
        elif not self._proven:
            size = max(size, self.size / 2)
        self.size = min(self.size - 1, size)
        self._proven = min(self._proven, self.size)

    def _note(self, reason: str) -> None:
        change = Change(round(self._clock() - self._began, 3), self.limit, reason)
        if len(self.history) < _LONGEST_HISTORY:
            self.history.append(change)
