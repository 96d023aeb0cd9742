"""A run over many workers in virtual time: shards as wholes, and nothing but the calls is real."""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from lm_eval_so.runner.engine.coordinator.concurrency import Bounds
from lm_eval_so.runner.engine.coordinator.coordinator import (
    BEAT_S,
    Beat,
    Coordinator,
    CoordinatorSetup,
)
from lm_eval_so.runner.engine.coordinator.leases import Held, Sealing
from lm_eval_so.runner.engine.coordinator.shards import owed, shard_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from lm_eval_so.runner.store.parts.lease import Lease, Range

WIRE_S = 0.005  # seconds, one way
PAUSE_S = 30.0  # seconds from the death of the head to new workers
NEW_AFTER_S = 60.0  # seconds from the death of a worker to the one that takes its place


class Case(NamedTuple):
    """What is run."""

    workers: int
    samples: int
    pace: float = 20.0  # samples a second of the median worker
    sigma: float = 0.5
    deaths_an_hour: float = 0.01  # of the workers
    head_dies_at: tuple[float, ...] = ()  # shares of the work done
    seed: int = 1


class Disk:
    """What the parts hold: one byte a sample."""

    def __init__(self, samples: int) -> None:
        self.written = bytearray(samples)
        self.sealed: dict[int, Range] = {}
        self.sealed_by = bytearray(samples)
        self.samples_sealed = 0
        self.epoch = 0

    def write(self, first: int, end: int) -> None:
        self.written[first:end] = b"\1" * (end - first)

    def left(self, first: int, end: int) -> int:
        return end - first - self.written.count(1, first, end)

    def position(self, first: int, end: int, more: int) -> int:
        """Where one is who goes through a range and asks ``more`` of those that are not there."""
        position = first
        while position < end:
            there = self.written.find(1, position, end)
            free = (end if there < 0 else there) - position
            if free > more:
                return position + more
            more -= free
            position += free
            gap = self.written.find(0, position, end)
            position = end if gap < 0 else gap
        return end

    def seal(self, lease: Lease) -> None:
        assert not self.sealed_by.count(1, lease.first, lease.end), "a position is sealed twice"
        assert not self.left(lease.first, lease.end), "what is sealed is not all there"
        self.sealed_by[lease.first : lease.end] = b"\1" * lease.count
        self.sealed[lease.first] = lease.range
        self.samples_sealed += lease.count
        self.epoch = max(self.epoch, lease.epoch)


@dataclass(eq=False, slots=True)
class Worker:
    """A process with two leases: the one it works on, and the one after."""

    name: str
    pace: float
    leases: list[Lease] = field(default_factory=list)
    began: float = 0.0  # with the first of its leases
    alive: bool = True
    number: int = 0
    turn: int = 0  # of its plans; an older one is void
    asking: bool = False
    delivered: int = 0


class Fleet:
    """Plays a case to its end.

    Attributes:
        ideal: Work over what the living workers could have done in the time it took.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.chance = random.Random(case.seed)
        self.now = 0.0
        self.capacity = 0.0  # samples that the living could have done so far
        self.living = 0.0  # samples a second
        self.deaths = self.heads = self.splits = self.refused = self.calls = 0
        self.disk = Disk(case.samples)
        self.size = shard_size(case.samples, case.workers)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._heads_to_die = list(case.head_dies_at)
        self._names = itertools.count()
        self.workers: set[Worker] = set()
        self._begin()

    @property
    def finished(self) -> bool:
        return len(self.disk.sealed_by) == self.disk.sealed_by.count(1)

    @property
    def ideal(self) -> float:
        return self.capacity / self.case.samples

    def run(self) -> None:
        while not self.coordinator.finished:
            at, _, event = heapq.heappop(self._events)
            self.capacity += self.living * (at - self.now)
            self.now = at
            event()

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), event))

    def _begin(self) -> None:
        rest = owed(self.case.samples, self.size, self.disk.sealed.values())
        bounds = Bounds(8_000, 1_000, 64_000)
        setup = CoordinatorSetup(owed=rest, highest=self.disk.epoch, bounds=bounds)
        self.coordinator = Coordinator(setup, self.now)
        for _ in range(self.case.workers):
            self._join()

    def _join(self) -> None:
        pace = self.case.pace * self.chance.lognormvariate(0.0, self.case.sigma)
        worker = Worker(f"w{next(self._names)}", pace)
        self.workers.add(worker)
        self.living += pace
        self.at(self.chance.uniform(0, BEAT_S), lambda: self._beat(worker))
        if self.case.deaths_an_hour:
            life = self.chance.expovariate(self.case.deaths_an_hour / 3600)
            self.at(life, lambda: self._die(worker))
        self._ask(worker)

    def _die(self, worker: Worker) -> None:
        """Nobody says so: its leases run out."""
        if worker.alive:
            self._bury(worker)
            self.deaths += 1
            coordinator = self.coordinator
            self.at(NEW_AFTER_S, lambda: self._join() if coordinator is self.coordinator else None)

    def _bury(self, worker: Worker) -> None:
        if worker.leases:
            lease = worker.leases[0]
            self.disk.write(lease.first, self._begun(worker))
            self.disk.epoch = max(self.disk.epoch, lease.epoch)
        worker.alive = False
        self.workers.discard(worker)
        self.living -= worker.pace

    def _kill_head(self) -> None:
        self.heads += 1
        for worker in list(self.workers):
            self._bury(worker)
        self.living = 0.0
        self.at(PAUSE_S, self._begin)

    def _begun(self, worker: Worker) -> int:
        lease = worker.leases[0]
        asked = int((self.now - worker.began) * worker.pace)
        return self.disk.position(lease.first, lease.end, asked)

    def _held(self, worker: Worker) -> tuple[Held, ...]:
        begun = [self._begun(worker)] if worker.leases else []
        begun += [lease.first for lease in worker.leases[1:]]
        return tuple(Held(lease.epoch, at) for lease, at in zip(worker.leases, begun, strict=True))

    def _beat(self, worker: Worker) -> None:
        if not worker.alive:
            return
        self.calls += 1
        held = self._held(worker)
        worker.number += 1
        reply = self.coordinator.beat(worker.name, Beat(worker.number, held), self.now)
        lost = set(reply.renewal.lost)
        if lost:
            self._keep(worker, [lease for lease in worker.leases if lease.epoch not in lost])
        for epoch, position in reply.renewal.end_at:
            self.at(2 * WIRE_S, lambda epoch=epoch, at=position: self._end(worker, epoch, at))  # type: ignore[misc]
        self.at(BEAT_S, lambda: self._beat(worker))

    def _end(self, worker: Worker, epoch: int, position: int) -> None:
        """The worker says where it really ends."""
        if not worker.alive or epoch not in {lease.epoch for lease in worker.leases}:
            return
        self.calls += 1
        begun = dict(self._held(worker))
        really = max(position, begun[epoch])
        known = self.coordinator.ended(worker.name, epoch, really, self.now)
        lease = next(one for one in worker.leases if one.epoch == epoch)
        self.splits += really < lease.end
        self.refused += really >= lease.end
        changed = [known if one.epoch == epoch else one for one in worker.leases]
        self._keep(worker, [one for one in changed if one is not None and one.count])

    def _keep(self, worker: Worker, leases: list[Lease]) -> None:
        """Goes on with these; with the first where it was, if it is the same."""
        same = worker.leases and leases and worker.leases[0].epoch == leases[0].epoch
        worker.leases = leases
        if not same:
            worker.began = self.now
        self._plan(worker)

    def _plan(self, worker: Worker) -> None:
        worker.turn += 1
        turn = worker.turn
        if not worker.leases:
            self._ask(worker)
            return
        first = worker.leases[0]
        ends = worker.began + self.disk.left(first.first, first.end) / worker.pace
        self.at(max(0.0, ends - self.now), lambda: self._done(worker, turn))

    def _done(self, worker: Worker, turn: int) -> None:
        if not worker.alive or turn != worker.turn:
            return
        self.calls += 1
        lease = worker.leases.pop(0)
        self.disk.write(lease.first, lease.end)
        if self.coordinator.done(worker.name, lease, self.now) is Sealing.ACCEPTED:
            self.disk.seal(lease)
        worker.began = self.now
        self._plan(worker)
        if worker.leases:
            self._ask(worker)
        if (
            self._heads_to_die
            and self.disk.samples_sealed / self.case.samples >= self._heads_to_die[0]
        ):
            self._heads_to_die.pop(0)
            self._kill_head()

    def _ask(self, worker: Worker) -> None:
        if worker.asking or not worker.alive or len(worker.leases) > 1:
            return
        worker.asking = True
        self.at(2 * WIRE_S, lambda: self._asked(worker))

    def _asked(self, worker: Worker) -> None:
        worker.asking = False
        if not worker.alive:
            return
        self.calls += 1
        left = sum(lease.end for lease in worker.leases) - sum(at for _, at in self._held(worker))
        answer = self.coordinator.lease(worker.name, self.now, left=left)
        if answer.lease is not None:
            worker.leases.append(answer.lease)
            if len(worker.leases) == 1:
                worker.began = self.now
                self._plan(worker)
            self._ask(worker)
        elif not answer.finished:
            self.at(answer.ask_again_s, lambda: self._ask(worker))
