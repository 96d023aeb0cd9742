"""What is changed in a schedule: limits that are configured or learned, and what a request took.

The offset is added to the clock of whoever makes the change to get the schedule's time.
"""

from collections.abc import Mapping
from typing import NamedTuple

from lm_eval_so.runner.backends.http.limit_headers import HeaderLimit
from lm_eval_so.runner.strategy.rate_limit.bucket import Bucket
from lm_eval_so.runner.strategy.rate_limit.schedule import Schedule

MINUTE = 60


class Started(NamedTuple):
    """A request that an answer came to.

    Attributes:
        began: When it started.
        marks: What `Bucket.take` returned for it, by unit.
    """

    began: float
    marks: Mapping[str, float]


def configure(
    schedule: Schedule, offset: float, *, unit: str, limit: float | None, now: float
) -> None:
    """Sets a run's limit a minute for all that share it, or removes it; a learned limit stays."""
    known = schedule.buckets.get(unit)
    if limit is None:
        if known and not known.learned:
            del schedule.buckets[unit]
    elif known is None or known.learned or known.per_second != limit / MINUTE:
        schedule.buckets[unit] = Bucket(limit / MINUTE, now + offset)


def correct(schedule: Schedule, _offset: float, *, unused: float) -> None:
    """Returns tokens that an estimate had taken too much; a learned limit counts that already."""
    bucket = schedule.buckets.get("tokens")
    if bucket and not bucket.learned:
        bucket.give_back(unused)


def learn(
    schedule: Schedule,
    offset: float,
    *,
    found: Mapping[str, HeaderLimit],
    started: Started,
    now: float,
) -> None:
    """Follows the limits that the headers of an answer gave, where none is configured."""
    for unit, limit in found.items():
        bucket = schedule.buckets.get(unit)
        if bucket is None:
            bucket = Bucket(limit.per_second, now + offset, learned=True)
            schedule.buckets[unit] = bucket
        if bucket.learned:
            mark = started.marks.get(unit, 0.0)
            bucket.learn(*limit, mark=mark, began=started.began + offset, now=now + offset)
