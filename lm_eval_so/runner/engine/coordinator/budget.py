"""A run's budget in chunks: what a worker may take before it has to ask again."""

import sys
from collections.abc import Mapping
from typing import NamedTuple

from lm_eval_so.runner.summary.amount import Amount

_EXACT = {"requests"}
"""Units that no estimate is needed for."""
_FIRST = 1 / 16
"""Of the bound, that may be out before anything was settled: the first estimates are guesses."""
_WORKERS_SHARE = 2  # a worker gets this part of its share, so that something is left for the last
_ASK_AGAIN_S = 0.5
_HAIR = 1e-9  # of a bound; sums of floats are off by less


class Spent(NamedTuple):
    """The end of a budget.

    Attributes:
        unit: ``requests``, ``tokens`` or ``usd``.
        taken: By the run so far.
        bound: What is configured.
    """

    unit: str
    taken: float
    bound: float


class Chunk(NamedTuple):
    """The answer to a worker that asks for budget.

    Attributes:
        requests: How many it may send, of what it asked for.
        amount: What these may take together.
        ask_again_s: Seconds, where it gets nothing as long as others hold what is left.
        spent: The budget is spent, and the run ends.
    """

    requests: int = 0
    amount: Amount = Amount()
    ask_again_s: float = 0.0
    spent: Spent | None = None


class Budget:
    """Gives out chunks that get smaller towards the end.

    Of an estimated unit, what is out is at most half of what is left, and at the start at most a
    little more than was settled. So answers that take twice what was estimated keep the run within
    its bound, but for the last one. No call raises.

    Args:
        bounds: By unit; an empty one bounds nothing.
        earlier: What earlier commands of the run took.
    """

    def __init__(self, bounds: Mapping[str, float], earlier: Amount | None = None) -> None:
        self._bounds = dict(bounds)
        self._out: dict[str, Amount] = {}  # by worker: what it may still take
        self._reported: dict[str, Amount] = {}
        self._total_out = Amount()
        self._earlier = self.settled = earlier or Amount()

    def reserve(self, worker: str, each: Amount, wanted: int, *, workers: int) -> Chunk:
        """A chunk for requests that take about ``each``.

        Args:
            worker: Who asks.
            each: Expected of one request.
            wanted: Requests that it can send soon.
            workers: That share the budget.
        """
        wanted = max(wanted, 1)
        number = min((self._fits(unit, each, workers) for unit in self._bounds), default=wanted)
        if number >= 1:
            number = min(number, wanted)
            return self._give(worker, number, _times(each, number))
        if self._is_out():
            return Chunk(ask_again_s=_ASK_AGAIN_S)
        spent = next((unit for unit in self._bounds if not self._has_room(unit, each)), None)
        if spent is None:
            return self._give(worker, 1, each)  # a small budget: one request after the other
        return Chunk(spent=Spent(spent, getattr(self.settled, spent), self._bounds[spent]))

    def report(self, worker: str, spent: Amount) -> None:
        """Takes what a worker has spent since it began; a report that comes twice does no harm."""
        news = spent.minus(self._reported.get(worker, Amount()))
        self._reported[worker] = spent
        self.settled = self.settled.plus(news)
        out = self._out.get(worker)
        if out is not None:
            self._set_out(worker, _positive(out.minus(news)))

    def give_back(self, worker: str, unused: Amount) -> None:
        """Takes back what a worker will not need; never more than it has."""
        out = self._out.get(worker)
        if out is not None:
            self._set_out(worker, _positive(out.minus(_positive(unused))))

    def gone(self, worker: str) -> None:
        """A worker has died: what it reported is spent, and the rest comes back."""
        self._set_out(worker, Amount())
        self._out.pop(worker, None)

    def _give(self, worker: str, number: int, amount: Amount) -> Chunk:
        self._set_out(worker, self._out.get(worker, Amount()).plus(amount))
        return Chunk(number, amount)

    def _set_out(self, worker: str, amount: Amount) -> None:
        before = self._out.get(worker, Amount())
        self._total_out = self._total_out.plus(amount).minus(before)
        self._out[worker] = amount

    def _is_out(self) -> bool:
        """Whether somebody holds some of what is bounded."""
        return any(
            getattr(self._total_out, unit) > _HAIR * bound for unit, bound in self._bounds.items()
        )

    def _fits(self, unit: str, each: Amount, workers: int) -> int:
        """Requests that a worker may send at once, as far as one unit goes."""
        bound, one = self._bounds[unit], getattr(each, unit)
        settled, out = getattr(self.settled, unit), getattr(self._total_out, unit)
        if one <= 0:
            return 0 if settled > bound else sys.maxsize
        most_out = bound - settled
        if unit not in _EXACT:
            learned_from = settled - getattr(self._earlier, unit)
            most_out = min(most_out / 2, learned_from + bound * _FIRST)
        room = (most_out - out + _HAIR * bound) / one
        return int(min(room, max(1.0, room / _WORKERS_SHARE / max(workers, 1))))

    def _has_room(self, unit: str, each: Amount) -> bool:
        bound = self._bounds[unit]
        return bool(getattr(self.settled, unit) + getattr(each, unit) <= bound * (1 + _HAIR))


def _times(amount: Amount, number: float) -> Amount:
    return Amount(*(one * number for one in amount))


def _positive(amount: Amount) -> Amount:
    return Amount(*(max(0.0, one) for one in amount))
