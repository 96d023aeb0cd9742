"""What is known of the limits on one endpoint, model and key, and who shares it."""

import time
from collections.abc import Callable, Collection
from typing import NamedTuple

from lm_eval_so.runner.strategy.rate_limit.schedule import Amounts, Schedule, Slot

LATE = 0.1
"""Seconds by which a start may miss its time, as on a busy machine; later ones are given up."""

Change = Callable[[Schedule, float], None]
"""Changes a schedule; the number is added to the clock to get the schedule's time."""


class Want(NamedTuple):
    """Somebody who wants to start.

    Attributes:
        since: When they came, on the clock.
        amounts: What the start takes, by estimate.
    """

    since: float
    amounts: Amounts


class Limits:
    """Shared by the runs of one process.

    All times that go in and come out are seconds on ``clock``.

    Args:
        clock: Never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.schedule = Schedule()

    @property
    def paused_until(self) -> float:
        """When the pause ends that the server asked for; the past when there is none."""
        return self.schedule.paused_until

    def pause(self, until: float) -> None:
        """Nobody starts before ``until``; the latest time asked for holds."""
        self.schedule.paused_until = max(self.schedule.paused_until, until)

    def change(self, change: Change) -> None:
        """Brings in what became known: a limit, or what a request really took."""
        change(self.schedule, 0.0)

    async def prepare(self, _wants: Collection[Want], _interval: float) -> bool:
        """Fetches what is needed to start; here it is always at hand.

        Args:
            wants: Who can start soon, the next one first.
            interval: Seconds between two starts; 0 for no such limit.

        Returns:
            Whether it had to sleep.
        """
        return False

    def wait(self, want: Want) -> float:
        """Seconds until ``want`` may start, or until it is worth asking again; 0 for now."""
        return max(0.0, self.schedule.ready(want.amounts) - self.clock())

    def start(self, want: Want, interval: float) -> Slot:
        """Takes the start for which nothing has to be waited any more.

        One who has waited and wakes a little late does not make all that follow later.
        """
        due = max(self.schedule.ready(want.amounts), want.since, self.clock() - LATE)
        return self.schedule.take(due, want.amounts, interval)
