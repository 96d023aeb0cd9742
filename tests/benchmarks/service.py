"""How long an answer takes: at once, after a while, in a queue, or in a batch that shares steps."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from behaviour import Behaviour

_ROUNDING = 1e-9


class Timers(Protocol):
    """A clock, in seconds, and calls at a later time of it."""

    def now(self) -> float: ...

    def call_later(self, seconds: float, call: Callable[[], None]) -> None: ...


class Service(Protocol):
    """Calls ``done`` when the answer is ready."""

    def serve(self, done: Callable[[], None]) -> None: ...


class Delay:
    """Each answer takes its own time, whatever else is in flight."""

    def __init__(self, timers: Timers, seconds: Callable[[], float]) -> None:
        self.timers = timers
        self.seconds = seconds

    def serve(self, done: Callable[[], None]) -> None:
        if seconds := self.seconds():
            self.timers.call_later(seconds, done)
        else:
            done()


class Queue:
    """So many are served at once; the rest wait in the order of arrival."""

    def __init__(self, inner: Service, places: int) -> None:
        self.inner = inner
        self.free = places
        self.waiting: deque[Callable[[], None]] = deque()

    def serve(self, done: Callable[[], None]) -> None:
        if self.free:
            self.free -= 1
            self.inner.serve(partial(self.served, done))
        else:
            self.waiting.append(done)

    def served(self, done: Callable[[], None]) -> None:
        self.free += 1
        if self.waiting:
            self.serve(self.waiting.popleft())
        done()


class Batch:
    """Continuous batching: all that are in flight advance together, one step at a time.

    A step takes ``step_s + per_request_s * in flight`` seconds. Steps are not simulated one by one:
    their number grows evenly until somebody comes or goes, and each answer waits for a number.
    """

    def __init__(
        self, timers: Timers, step_s: float, per_request_s: float, steps: Callable[[], float]
    ) -> None:
        self.timers = timers
        self.step_s = step_s
        self.per_request_s = per_request_s
        self.steps = steps
        self.done_steps = 0.0
        self.at = timers.now()
        self.ends: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.plan = 0

    def serve(self, done: Callable[[], None]) -> None:
        self.advance()
        heapq.heappush(self.ends, (self.done_steps + self.steps(), next(self.order), done))
        self.plan_next()

    def seconds_a_step(self) -> float:
        return self.step_s + self.per_request_s * len(self.ends)

    def advance(self) -> None:
        now = self.timers.now()
        if self.ends:
            self.done_steps += (now - self.at) / self.seconds_a_step()
        self.at = now

    def plan_next(self) -> None:
        """Calls for the next end; what was called for before is out of date."""
        self.plan += 1
        if self.ends:
            seconds = (self.ends[0][0] - self.done_steps) * self.seconds_a_step()
            self.timers.call_later(max(0.0, seconds), partial(self.look, self.plan))

    def look(self, plan: int) -> None:
        if plan != self.plan:
            return
        self.advance()
        finished = []
        while self.ends and self.ends[0][0] <= self.done_steps + _ROUNDING:
            finished.append(heapq.heappop(self.ends)[2])
        self.plan_next()
        for done in finished:
            done()


def service(behaviour: Behaviour, timers: Timers, chance: random.Random) -> Service:
    def spread(median: float) -> float:
        if not behaviour.sigma:
            return median
        return median * math.exp(chance.gauss(0, behaviour.sigma))

    if behaviour.batch_steps:
        return Batch(
            timers,
            behaviour.batch_step_s,
            behaviour.batch_step_per_request_s,
            partial(spread, behaviour.batch_steps),
        )
    delay = Delay(timers, partial(spread, behaviour.latency_s))
    return Queue(delay, behaviour.queue) if behaviour.queue else delay
