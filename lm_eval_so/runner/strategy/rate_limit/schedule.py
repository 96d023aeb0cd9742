"""When requests may start under all limits on one endpoint, model and key."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

from pydantic import ConfigDict

from lm_eval_so.runner.models import Value
from lm_eval_so.runner.strategy.rate_limit.bucket import Bucket, BucketState

Amounts = Mapping[str, float]
"""What a start takes, by unit: ``requests`` and ``tokens``."""


class Slot(NamedTuple):
    """A start that was taken from a schedule.

    Attributes:
        start: When it is due, in the schedule's time.
        end: When the next start may follow, as far as the even spacing goes.
        amounts: What it took of the buckets.
        marks: What `Bucket.take` returned, by unit.
    """

    start: float
    end: float
    amounts: Amounts
    marks: Mapping[str, float]


class ScheduleState(Value):
    """A schedule in a file."""

    model_config = ConfigDict(allow_inf_nan=False)

    next_start: float
    paused_until: float
    buckets: dict[str, BucketState]


class Schedule:
    """All times are seconds on one clock, which the owner of the schedule chooses.

    Attributes:
        next_start: Nothing starts before; this keeps starts evenly spaced.
        paused_until: Nothing starts before, as the server asked.
        buckets: By unit, ``requests`` and ``tokens``.
    """

    def __init__(self) -> None:
        self.next_start = 0.0
        self.paused_until = 0.0
        self.buckets: dict[str, Bucket] = {}

    def ready(self, amounts: Amounts) -> float:
        """When a start that takes ``amounts`` is possible; this can lie in the past."""
        latest = max(self.next_start, self.paused_until)
        for unit, bucket in self.buckets.items():
            latest = max(latest, bucket.ready(amounts[unit]))
        return latest

    def take(self, start: float, amounts: Amounts, interval: float) -> Slot:
        """Takes a start.

        Args:
            start: Not before `ready`.
            amounts: What it takes.
            interval: Seconds until the next start may follow.
        """
        self.next_start = start + interval
        marks = {unit: bucket.take(start, amounts[unit]) for unit, bucket in self.buckets.items()}
        return Slot(start, self.next_start, amounts, marks)

    def plan(
        self, wanted: Iterable[Amounts], interval: float, *, now: float, span: float
    ) -> list[Slot]:
        """Takes starts for those who wait: at least one, at most ``span`` seconds' worth."""
        slots: list[Slot] = []
        start = now
        for amounts in wanted:
            start = max(start, self.ready(amounts))
            if slots and start >= slots[0].start + span:
                break
            slots.append(self.take(start, amounts, interval))
        return slots

    def give_back(self, slots: Iterable[Slot]) -> None:
        """Returns consecutive slots that were not used.

        Even spacing can only be returned while nobody has taken a later start.
        """
        slots = list(slots)
        if slots and slots[-1].end == self.next_start:
            self.next_start = slots[0].start
        for slot in slots:
            for unit in slot.marks.keys() & self.buckets.keys():
                self.buckets[unit].give_back(slot.amounts[unit])

    def state(self) -> ScheduleState:
        """The whole state, for another process."""
        return ScheduleState(
            next_start=self.next_start,
            paused_until=self.paused_until,
            buckets={unit: bucket.state() for unit, bucket in self.buckets.items()},
        )

    @classmethod
    def of_state(cls, state: ScheduleState) -> Self:
        """The schedule that another process left."""
        schedule = cls()
        schedule.next_start = state.next_start
        schedule.paused_until = state.paused_until
        schedule.buckets = {unit: Bucket.of_state(one) for unit, one in state.buckets.items()}
        return schedule
