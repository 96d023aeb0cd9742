"""Which of the last leases are split, and where, so that nobody is idle while others are busy."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import nlargest

ASK_AGAIN_S = 1.0
"""Seconds after which a worker without work asks again."""
_LOOK_S = 0.25  # seconds between two looks at all holders, which are a thousand
_UNANSWERED_S = 10.0  # seconds after which a holder that was asked counts as deaf
_WORTH_S = 2.0  # seconds of work; less is done before a split of it has gone round
_LEAST = 2  # positions: one for each of the two


@dataclass(slots=True)
class Holding:
    """A lease that is held.

    Attributes:
        worker: Who holds it.
        first: Its first position.
        end: The position behind its last one; comes down when it is split.
        begun: The first position that had not begun when the holder last said so.
        named_at: When a heartbeat last named it.
        asked: Where the holder is asked to end it.
    """

    worker: str
    first: int
    end: int
    begun: int
    named_at: float
    asked: int | None = None

    @property
    def left(self) -> int:
        """Positions that have not begun."""
        return self.end - self.begun

    def shorten(self, end: int) -> None:
        """Ends it at a position; what had begun beyond is given up."""
        self.end = end
        self.begun = min(self.begun, end)


@dataclass(slots=True)
class Holder:
    """A worker, what it holds, and how fast it is.

    Attributes:
        since: When it got its first lease.
        holdings: By epoch, in the order in which it works on them.
        begun: Positions that it has begun so far.
        asked_at: When it was last asked to end a lease early.
    """

    since: float
    holdings: dict[int, Holding] = field(default_factory=dict)
    begun: int = 0
    asked_at: float = -math.inf

    @property
    def left(self) -> int:
        """Positions that it holds and has not begun."""
        return sum(holding.left for holding in self.holdings.values())

    def advance(self, holding: Holding, begun: int) -> None:
        """Notes how far a holding is; a word that came late changes nothing."""
        begun = min(begun, holding.end)
        if begun > holding.begun:
            self.begun += begun - holding.begun
            holding.begun = begun

    def pace(self, now: float) -> float:
        """Positions that it begins a second; 0 where that is not known yet."""
        return self.begun / (now - self.since) if now > self.since else 0.0

    def is_asked(self, now: float) -> bool:
        """Whether it has yet to answer."""
        waits = any(holding.asked is not None for holding in self.holdings.values())
        return waits and now - self.asked_at <= _UNANSWERED_S


class Splits:
    """Asks those with the most work left, in seconds, to share it with workers that have none.

    Both are to end at the same time, so that a slow worker gives more than half away.
    """

    def __init__(self) -> None:
        self._idle: dict[str, float] = {}  # when each last asked; who waited longest comes first
        self._looked_at = -math.inf

    def wanted(self, worker: str, now: float) -> None:
        """A worker has nothing to do."""
        self._idle[worker] = now

    def served(self, worker: str) -> None:
        """It has got something."""
        self._idle.pop(worker, None)

    gone = served

    def plan(self, holders: Mapping[str, Holder], now: float) -> None:
        """Marks leases to be split: one for each idle worker that nobody was asked for yet."""
        if now - self._looked_at < _LOOK_S:
            return
        self._looked_at = now
        self._idle = {w: at for w, at in self._idle.items() if now - at <= 3 * ASK_AGAIN_S}
        free = [(w, one) for w, one in holders.items() if w not in self._idle]
        asked = sum(one.is_asked(now) for _, one in free)
        idle = list(self._idle)[asked:]
        candidates = [one for _, one in free if one.left >= _LEAST and not one.is_asked(now)]
        chosen = nlargest(len(idle), candidates, key=lambda one: _seconds_left(one, now))
        for worker, busy in zip(idle, chosen, strict=False):
            if _seconds_left(busy, now) >= _WORTH_S:
                _ask(busy, holders.get(worker), now)


def _seconds_left(holder: Holder, now: float) -> float:
    pace = holder.pace(now)
    return holder.left / pace if pace else math.inf


def _ask(busy: Holder, idle: Holder | None, now: float) -> None:
    """Asks for a share of the work that the busy one comes to last."""
    last = next(one for one in reversed(busy.holdings.values()) if one.left)
    slow = busy.pace(now)
    fast = (idle.pace(now) if idle else 0.0) or slow
    share = fast / (slow + fast) if slow else 0.5
    last.asked = last.end - min(last.left, max(1, math.floor(busy.left * share)))
    busy.asked_at = now
