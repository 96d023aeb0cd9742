"""Leases starts of a schedule that several processes share: who is next, and how many."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import ConfigDict

from lm_eval_so.runner.models import Value
from lm_eval_so.runner.strategy.rate_limit.schedule import Amounts, Schedule, Slot

HORIZON = 0.25
"""Seconds that all leases together reach ahead; a process that dies blocks no more than this."""
_KNOWN = 1.0  # seconds after its last start during which a holder still counts
_LATEST = 5.0  # seconds ahead; a holder that counts for longer was not written by us
_QUEUE = 0.03  # seconds between two looks at the file, for each process that comes first


class Holder(Value):
    """A process that uses the limits.

    Attributes:
        until: It counts until then, unless it asks again.
        since: When it began to wait for a lease; None where it does not wait.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    until: float
    since: float | None = None


class Lease(NamedTuple):
    """What a process may start without asking the others.

    Attributes:
        slots: Starts.
        free_until: Until then it may start anything, since no limit is known.
        look_at: When to ask again, where it got nothing.
    """

    slots: Sequence[Slot] = ()
    free_until: float = 0.0
    look_at: float = 0.0


class Asking(NamedTuple):
    """A process that asks for a lease.

    Attributes:
        name: Of the process.
        wanted: What each start takes that it can use now; at least one start.
        interval: Seconds between two starts; 0 for no such limit.
    """

    name: str
    wanted: Sequence[Amounts]
    interval: float


def take_lease(
    schedule: Schedule, holders: Mapping[str, Holder], asking: Asking, now: float
) -> tuple[Lease, dict[str, Holder]]:
    """Takes a fair share of the starts; who waited longest comes first.

    No start lies further ahead than the horizon. So a process that is killed has taken next to
    nothing, and a pause that a server asks for meanwhile is kept.

    Returns:
        The lease, and the holders from now on.
    """
    others = {name: one for name, one in holders.items() if now < one.until <= now + _LATEST}
    mine = others.pop(asking.name, None)
    since = now if mine is None or mine.since is None else mine.since
    ahead = sum(one.since is not None and one.since < since for one in others.values())
    wait = max(0.0, schedule.ready(asking.wanted[0]) - now)
    if ahead or wait > HORIZON:
        look_at = now + min(HORIZON, max(wait - HORIZON, ahead * _QUEUE))
        return Lease(look_at=look_at), others | {
            asking.name: Holder(until=look_at + HORIZON, since=since)
        }
    lease, last = _grant(schedule, asking, now, span=HORIZON / (len(others) + 1))
    return lease, others | {asking.name: Holder(until=last + _KNOWN)}


def _grant(schedule: Schedule, asking: Asking, now: float, *, span: float) -> tuple[Lease, float]:
    """The lease and when it ends."""
    if not schedule.buckets and not asking.interval and schedule.next_start <= now:
        return Lease(free_until=now + HORIZON), now + HORIZON
    slots = schedule.plan(asking.wanted, asking.interval, now=now, span=span)
    return Lease(slots), slots[-1].start
