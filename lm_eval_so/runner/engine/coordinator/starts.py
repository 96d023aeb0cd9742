"""When requests may start, over all workers: starts of one schedule, given out for a moment.

A worker asks for the starts that it can use now, gets some with the seconds until each, and returns
those that it could not use in time. Only durations cross the wire.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lm_eval_so.runner.backends.http.limit_headers import HeaderLimit
from lm_eval_so.runner.engine.coordinator.turns import Turn, Turns
from lm_eval_so.runner.strategy.rate_limit.changes import (
    MINUTE,
    Started,
    configure,
    correct,
    learn,
)
from lm_eval_so.runner.strategy.rate_limit.lease import HORIZON
from lm_eval_so.runner.strategy.rate_limit.schedule import Amounts, Schedule, Slot

LATE_S = 0.015
"""Seconds by which a worker may use a start late; it returns a later one. The busiest second then
holds at most this share more than the rate."""
_REMEMBERED_S = 5.0  # seconds after its time in which a start can be returned
_MOST_ASKED = 1024  # starts, of one call


class Start(NamedTuple):
    """A start that a worker was given.

    Attributes:
        number: To return it with.
        in_s: Seconds from now.
        tokens: What it took of the limit on tokens.
        marks: Come back in `Learned`.
    """

    number: int
    in_s: float
    tokens: float
    marks: Mapping[str, float]


class Learned(NamedTuple):
    """Limits that the headers of an answer gave.

    Attributes:
        found: By unit.
        marks: Of the request's start.
        age_s: Seconds since the request started.
    """

    found: Mapping[str, HeaderLimit]
    marks: Mapping[str, float]
    age_s: float


class Asked(NamedTuple):
    """What a worker asks for, and what it has to tell.

    Attributes:
        wanted: Estimated tokens of each start that it can use now, the first one first.
        unused: Numbers of starts that it returns, in order.
        unused_tokens: Tokens that answers took less than estimated since the last call.
        learned: Limits that answers gave since the last call.
        pause_s: Seconds for which a server asked all to wait.
    """

    wanted: Sequence[float] = ()
    unused: Sequence[int] = ()
    unused_tokens: float = 0.0
    learned: Sequence[Learned] = ()
    pause_s: float = 0.0


class Given(NamedTuple):
    """The answer to a worker that asks for starts.

    Attributes:
        starts: The first one first.
        free_for_s: Seconds in which it may start anything, since no limit is known.
        ask_again_s: Seconds, where more was wanted than is given.
        paused_s: Seconds until the pause is over that a server asked for.
        per_minute: The limits in force, by unit.
    """

    starts: tuple[Start, ...] = ()
    free_for_s: float = 0.0
    ask_again_s: float = 0.0
    paused_s: float = 0.0
    per_minute: Mapping[str, float] = {}


@dataclass(frozen=True)
class RateLimits:
    """What is configured; None for no such limit, or one that is learned.

    Attributes:
        per_second: Evenly spaced starts.
        requests_per_minute: A token bucket.
        tokens_per_minute: A token bucket.
    """

    per_second: float | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


class Starts:
    """Gives starts out, in turns. No call raises.

    Args:
        limits: What is configured.
        now: Seconds.
    """

    def __init__(self, limits: RateLimits, now: float) -> None:
        self._interval = 1 / limits.per_second if limits.per_second else 0.0
        self._schedule = Schedule()
        for unit in ("requests", "tokens"):
            limit = getattr(limits, f"{unit}_per_minute")
            configure(self._schedule, 0.0, unit=unit, limit=limit, now=now)
        self._turns = Turns(self._schedule, self._interval)
        self._given: dict[int, Slot] = {}
        self._number = 0

    def ask(self, worker: str, asked: Asked, now: float) -> Given:
        """Takes what a worker has to tell, and gives it what it may start."""
        self._note(asked, now)
        wanted = [_amounts(tokens) for tokens in asked.wanted[:_MOST_ASKED]]
        if not wanted:
            self._turns.leave(worker)
            return self._answer((), now)
        if self._is_free(now):
            return self._answer((), now)._replace(free_for_s=HORIZON)
        slots = self._turns.collect(worker, now - LATE_S)
        rest = wanted[len(slots) :]
        if rest:
            self._turns.join(worker, Turn(rest, comes_at=now))
            self._turns.serve(worker, now)
            slots += self._turns.collect(worker, now - LATE_S)
        given = self._answer(slots, now)
        if len(slots) < len(wanted):
            given = given._replace(ask_again_s=self._turns.come_again(worker, now))
        return given

    def pause(self, seconds: float, now: float) -> None:
        """Holds everybody; the longest pause counts."""
        if not seconds > 0:
            return
        until = now + min(seconds, _LONGEST_PAUSE)
        if until > self._schedule.paused_until:
            self._schedule.paused_until = until
            self._turns.return_uncollected()

    def paused_s(self, now: float) -> float:
        """Seconds of pause still to come."""
        return max(0.0, self._schedule.paused_until - now)

    def gone(self, worker: str) -> None:
        """A worker takes no turn any more; what it was given counts as used."""
        self._turns.leave(worker)

    @property
    def per_minute(self) -> dict[str, float]:
        """The limits in force, by unit."""
        buckets = self._schedule.buckets.items()
        return {unit: round(bucket.per_second * MINUTE, 1) for unit, bucket in buckets}

    def _note(self, asked: Asked, now: float) -> None:
        while self._given:
            number, slot = next(iter(self._given.items()))
            if slot.start > now - _REMEMBERED_S:
                break
            del self._given[number]
        known = (n for n in dict.fromkeys(asked.unused) if n in self._given)
        self._schedule.give_back([self._given.pop(n) for n in known])
        if math.isfinite(asked.unused_tokens):
            correct(self._schedule, 0.0, unused=asked.unused_tokens)
        for found, marks, age_s in asked.learned:
            learn(self._schedule, 0.0, found=found, started=Started(now - age_s, marks), now=now)
        self.pause(asked.pause_s, now)

    def _is_free(self, now: float) -> bool:
        schedule = self._schedule
        return not schedule.buckets and not self._interval and schedule.paused_until <= now

    def _answer(self, slots: Sequence[Slot], now: float) -> Given:
        starts = []
        for slot in slots:
            self._number += 1
            self._given[self._number] = slot
            in_s = max(0.0, slot.start - now)
            starts.append(Start(self._number, in_s, slot.amounts["tokens"], slot.marks))
        return Given(tuple(starts), paused_s=self.paused_s(now), per_minute=self.per_minute)


_LONGEST_PAUSE = 7 * 86_400.0
"""Seconds; what is longer is for `runner.longest_pause` to judge."""


def _amounts(tokens: float) -> Amounts:
    return {"requests": 1.0, "tokens": tokens if 0 < tokens < math.inf else 0.0}
