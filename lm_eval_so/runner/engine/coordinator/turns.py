"""Whose turn it is to get starts: first come, first served, and a few at a time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from lm_eval_so.runner.strategy.rate_limit.lease import HORIZON
from lm_eval_so.runner.strategy.rate_limit.schedule import Amounts, Schedule, Slot

_CALLS_A_SECOND = 1000  # that the coordinator can well answer; with more starts, more go in a call
_SOONEST, _LATEST = 0.005, 2.0  # seconds until a waiting worker asks again
_ROUND_TRIP_S = 0.05  # seconds by which a worker comes later than it was told, at the most
_LOOKED_AT = 16  # workers in the queue, of which one that comes in time is served


@dataclass(slots=True)
class Turn:
    """A worker that waits.

    Attributes:
        wanted: What each start takes that it can use.
        comes_at: When it asks again.
        place: Starts that were asked for before its own, ever.
        starts: How many it gets in this turn, as far as can be told when it joins.
    """

    wanted: Sequence[Amounts]
    comes_at: float
    place: int = 0
    starts: int = 1


@dataclass(slots=True)
class Turns:
    """The queue of those who wait, and the starts that lie ready for who comes to collect them.

    No start is further ahead than the horizon. A start lies ready only for a worker that comes
    before it is due, so that none is lost while somebody could use it.
    """

    schedule: Schedule
    interval: float
    _queue: dict[str, Turn] = field(default_factory=dict)
    _ready: dict[str, list[Slot]] = field(default_factory=dict)
    _asked: int = 0
    _done: int = 0

    def join(self, worker: str, turn: Turn) -> None:
        """Puts a worker in the queue; one that is there keeps its place, with what it wants now."""
        known = self._queue.get(worker)
        if known is not None:
            known.wanted, known.comes_at = turn.wanted, turn.comes_at
            return
        turn.place = self._asked
        turn.starts = min(len(turn.wanted), self._most(turn, len(self._queue) + 1))
        self._asked += turn.starts
        self._queue[worker] = turn

    def leave(self, worker: str) -> None:
        """Takes a worker out, and returns what lies ready for it."""
        turn = self._queue.pop(worker, None)
        if turn is not None:
            self._done += turn.starts
        self.schedule.give_back(self._ready.pop(worker, ()))

    def collect(self, worker: str, earliest: float) -> list[Slot]:
        """What lies ready for a worker; what was due before ``earliest`` is returned instead."""
        slots = self._ready.pop(worker, [])
        late = sum(slot.start < earliest for slot in slots)
        if late:
            self.schedule.give_back(slots[:late])
        return slots[late:]

    def return_uncollected(self) -> None:
        """Returns all that lies ready: nothing may start now."""
        for slots in self._ready.values():
            self.schedule.give_back(slots)
        self._ready.clear()

    def serve(self, here: str, now: float) -> None:
        """Plans starts within the horizon, for those who come in time to collect them.

        Args:
            here: The worker that asks at this moment.
            now: Seconds.
        """
        while self._queue:
            worker = self._first_in_time(here, now)
            if worker is None:
                return
            turn = self._queue[worker]
            begins = max(now, self.schedule.ready(turn.wanted[0]))
            if begins > now + HORIZON:
                return
            most = self._most(turn, len(self._queue))
            del self._queue[worker]
            self._done += turn.starts
            self._ready[worker] = self._ready.get(worker, []) + self.schedule.plan(
                turn.wanted[:most], self.interval, now=now, span=now + HORIZON - begins
            )

    def come_again(self, worker: str, now: float) -> float:
        """Seconds until a worker should ask again: shortly before its turn."""
        turn = self._queue.get(worker)
        if turn is None:
            return _SOONEST
        ahead = max(0, turn.place - self._done) * self._pace(turn)
        wait = self.schedule.ready(turn.wanted[0]) - now + ahead - HORIZON / 2
        wait = min(max(wait, _SOONEST), _LATEST)
        turn.comes_at = now + wait
        return wait

    def _first_in_time(self, here: str, now: float) -> str | None:
        for worker, turn in islice(self._queue.items(), _LOOKED_AT):
            due = max(now, self.schedule.ready(turn.wanted[0]))
            if worker == here or turn.comes_at + _ROUND_TRIP_S <= due:
                return worker
        return here if here in self._queue else None

    def _pace(self, turn: Turn) -> float:
        """Seconds that one start takes of the schedule."""
        buckets = self.schedule.buckets.items()
        takes = (turn.wanted[0][unit] / bucket.per_second for unit, bucket in buckets)
        return max(self.interval, *takes, 0.0)

    def _most(self, turn: Turn, waiting: int) -> int:
        """Starts of one turn: a fair share, and so many that the calls do not become too many."""
        pace = self._pace(turn)
        if not pace:
            return len(turn.wanted)
        return max(1, math.ceil(HORIZON / waiting / pace), math.ceil(1 / _CALLS_A_SECOND / pace))
