"""The limits on one endpoint, model and key, shared by the runs of one process."""

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import NamedTuple

from lm_eval_so.runner.backends.http.limit_headers import HeaderLimit
from lm_eval_so.runner.strategy.rate_limit.changes import MINUTE, Started, configure, correct, learn
from lm_eval_so.runner.strategy.rate_limit.schedule import Amounts, Schedule, Slot

LATE = 0.1
"""Seconds by which a start may be late, as on a busy machine; a later one is given back."""

Change = Callable[[Schedule, float], None]
"""Changes a schedule; the number is added to the clock to get the schedule's time."""


class Want(NamedTuple):
    """A request that wants to start.

    Attributes:
        since: When it came, on the clock.
        amounts: What the start takes, by estimate.
    """

    since: float
    amounts: Amounts


class Limits:
    """Shared by the runs of one process.

    All times that go in and come out are seconds on ``clock``.

    Args:
        clock: Never goes back.

    Attributes:
        held_back: Whether a request that slept before the last start did so for a limit, and not
            for an answer of those who share it.
    """

    held_back = True

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.schedule = Schedule()

    @property
    def paused_until(self) -> float:
        """When the pause that the server asked for ends; in the past where there is none."""
        return self.schedule.paused_until

    @property
    def per_minute(self) -> dict[str, float]:
        """The limits in force, by unit."""
        buckets = self.schedule.buckets.items()
        return {unit: round(bucket.per_second * MINUTE, 1) for unit, bucket in buckets}

    @property
    def counts_tokens(self) -> bool:
        """Whether a limit on tokens is known."""
        return "tokens" in self.schedule.buckets

    def pause(self, until: float) -> None:
        """Starts nothing before ``until``; the latest time counts."""
        self.schedule.paused_until = max(self.schedule.paused_until, until)

    def configure(self, unit: str, limit: float | None) -> None:
        """Sets a limit a minute; None removes it, unless it was learned."""
        self.change(partial(configure, unit=unit, limit=limit, now=self.clock()))

    def correct(self, unused: float) -> None:
        """Returns tokens that an estimate had taken too much."""
        self.change(partial(correct, unused=unused))

    def learn(self, found: Mapping[str, HeaderLimit], started: Started) -> None:
        """Follows the limits that the headers of an answer gave to a request."""
        self.change(partial(learn, found=found, started=started, now=self.clock()))

    def change(self, change: Change) -> None:
        """Applies a change."""
        change(self.schedule, 0.0)

    async def prepare(self, _wants: Collection[Want], _interval: float) -> bool:
        """Fetches starts where other processes share them; here there is nothing to fetch.

        Args:
            wants: Who can start soon, the next one first.
            interval: Seconds between two starts; 0 for no such limit.

        Returns:
            Whether it had to sleep.
        """
        return False

    def wait(self, want: Want) -> float:
        """Seconds until ``want`` may start or should ask again; 0 for now."""
        return max(0.0, self.schedule.ready(want.amounts) - self.clock())

    def start(self, want: Want, interval: float) -> Slot:
        """Takes the start, once `wait` is 0.

        A request that slept and wakes a little late does not delay all that follow.
        """
        due = max(self.schedule.ready(want.amounts), want.since, self.clock() - LATE)
        return self.schedule.take(due, want.amounts, interval)
