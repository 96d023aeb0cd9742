"""Many workers under one rate limit in virtual time; nothing but the calls is real."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lm_eval_so.runner.engine.coordinator.starts import (
    LATE_S,
    Asked,
    RateLimits,
    Start,
    Starts,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(eq=False, slots=True)
class Client:
    """A worker with so many slots; each start takes one until its answer comes."""

    name: str
    free: int
    starts: deque[tuple[float, Start]] = field(default_factory=deque)
    unused: list[int] = field(default_factory=list)
    not_before: float = 0.0
    asking: bool = False
    alive: bool = True
    used: int = 0


class Pacing:
    """Plays some seconds.

    Attributes:
        started: When requests started, in order.
    """

    def __init__(
        self,
        limits: RateLimits,
        workers: int,
        *,
        slots: int = 8,
        latency_s: float = 1.0,
        wire_s: float = 0.003,
        jitter_s: float = 0.002,
        seed: int = 1,
    ) -> None:
        self.now = 0.0
        self.chance = random.Random(seed)
        self.latency_s, self.wire_s, self.jitter_s = latency_s, wire_s, jitter_s
        self.starts = Starts(limits, 0.0)
        self.started: list[float] = []
        self.calls = self.given_up = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.clients = [Client(f"w{n}", slots) for n in range(workers)]
        for client in self.clients:
            self.at(self.chance.uniform(0, 0.1), lambda client=client: self._ask(client))  # type: ignore[misc]

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), event))

    def run(self, until: float) -> None:
        while self._events and self._events[0][0] < until:
            self.now, _, event = heapq.heappop(self._events)
            event()

    def _wire(self) -> float:
        return self.chance.uniform(0.3, 1.7) * self.wire_s

    def _ask(self, client: Client) -> None:
        """Asks for the slots that are free and have no start yet."""
        if client.asking or not client.alive or client.free <= len(client.starts):
            return
        if self.now < client.not_before:
            return
        client.asking = True
        self.at(self._wire(), lambda: self._answer(client))

    def _answer(self, client: Client) -> None:
        self.calls += 1
        wanted = [100.0] * (client.free - len(client.starts))
        unused, client.unused = tuple(client.unused), []
        given = self.starts.ask(client.name, Asked(wanted, unused), self.now)
        self.at(self._wire(), lambda: self._got(client, given.starts, given.ask_again_s))

    def _got(self, client: Client, starts: tuple[Start, ...], again: float) -> None:
        client.asking = False
        for start in starts:
            due = self.now + start.in_s
            client.starts.append((due, start))
            late = self.chance.expovariate(1 / self.jitter_s)
            self.at(start.in_s + late, lambda due=due, start=start: self._use(client, due, start))  # type: ignore[misc]
        client.not_before = self.now + again
        self.at(again, lambda: self._ask(client))

    def _use(self, client: Client, due: float, start: Start) -> None:
        client.starts.remove((due, start))
        if not client.alive:
            return
        if self.now - due > LATE_S:
            self.given_up += 1
            client.unused.append(start.number)
        else:
            self.started.append(self.now)
            client.used += 1
            client.free -= 1
            takes = self.latency_s * self.chance.lognormvariate(0, 0.3)
            self.at(takes, lambda: self._free(client))
        self._ask(client)

    def _free(self, client: Client) -> None:
        client.free += 1
        self._ask(client)

    def busiest_second(self, begins: float = 0.0) -> int:
        """Starts within any second."""
        most = first = 0
        times = [at for at in self.started if at >= begins]
        for last, at in enumerate(times):
            while times[first] <= at - 1.0:
                first += 1
            most = max(most, last - first + 1)
        return most
