"""The heart of a run over many workers: who does what, when it may start, and when all end.

Pure: no event loop, no sockets, no files; the time is an argument of each call. Every call takes
microseconds and is answered, also a late one, one that comes twice and one of a worker that nobody
knows. Only durations are handed out, since the clocks of machines do not agree.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lm_eval_so.runner.engine.coordinator.budget import Budget, Chunk, Spent
from lm_eval_so.runner.engine.coordinator.concurrency import Bounds, SharedBounds
from lm_eval_so.runner.engine.coordinator.leases import (
    LEASE_S,
    Held,
    Leases,
    Next,
    Renewal,
    Sealing,
)
from lm_eval_so.runner.engine.coordinator.outage import Order, Outages
from lm_eval_so.runner.engine.coordinator.progress import Counts, Progress
from lm_eval_so.runner.engine.coordinator.refusals import Cause, Refusal, Refusals
from lm_eval_so.runner.engine.coordinator.starts import Asked, Given, RateLimits, Starts
from lm_eval_so.runner.engine.coordinator.stop import StopOrder, Stopping, Why
from lm_eval_so.runner.engine.coordinator.workers import Workers
from lm_eval_so.runner.errors import BudgetSpentError
from lm_eval_so.runner.store.parts.lease import Lease, Range
from lm_eval_so.runner.summary.amount import Amount

BEAT_S = 2.0
"""Seconds between two heartbeats of a worker."""


class Beat(NamedTuple):
    """What a worker says of itself; totals since it began, so that a lost beat does no harm.

    Attributes:
        number: Grows with each beat of the worker; an older one that comes late is not counted.
        held: Its leases, and how far each is.
        counts: What it has done.
        spent: What its requests took, as far as their outcome is known.
        unused: Of its budget, what it will not need.
        alive: Signs of life that it got.
        left_s: Seconds since the last request left that got one.
        holds: Requests that it has in flight, or may have by its bounds; the greater.
    """

    number: int
    held: tuple[Held, ...] = ()
    counts: Counts = Counts()
    spent: Amount = Amount()
    unused: Amount = Amount()
    alive: int = 0
    left_s: float = 0.0
    holds: int = 0


class Reply(NamedTuple):
    """The answer to a heartbeat.

    Attributes:
        renewal: What becomes of its leases.
        bounds: Of its requests in flight.
        order: What to do while the server may be away.
        cause: Of the refusals that it holds back.
        paused_s: Seconds until the pause is over that a server asked for.
        stop: The run ends.
    """

    renewal: Renewal
    bounds: Bounds
    order: Order
    cause: Cause
    paused_s: float
    stop: StopOrder | None


class CoordinatorSetup(NamedTuple):
    """What a coordinator is made of; after a death of the head, of what is on disk.

    Attributes:
        owed: Ranges that are not sealed.
        highest: The highest epoch on disk; 0 for a new run directory.
        bounds: Of the requests in flight of the whole run.
        limits: Configured rate limits.
        budget: Bounds by unit.
        earlier: What earlier commands of the run took.
        wait: Seconds that a server may be away.
        lease_s: Seconds that a worker may be silent.
    """

    owed: Iterable[Range]
    highest: int = 0
    bounds: Bounds = Bounds(8, 1, 256)
    limits: RateLimits = RateLimits()
    budget: Mapping[str, float] = {}
    earlier: Amount = Amount()
    wait: float = 300.0
    lease_s: float = LEASE_S


class _Last(NamedTuple):
    """Of a worker's last heartbeat."""

    number: int = -1
    alive: int = 0


class Coordinator:
    """Composes the parts; each call is one part's, once it is known who lives.

    A worker's name is that of one process, and is never used again.

    Args:
        setup: What it is made of.
        now: Seconds on the clock that all calls use.
    """

    def __init__(self, setup: CoordinatorSetup, now: float) -> None:
        self._workers = Workers(setup.lease_s)
        self._leases = Leases(setup.owed, highest=setup.highest, lease_s=setup.lease_s)
        self._starts = Starts(setup.limits, now)
        self._budget = Budget(setup.budget, setup.earlier)
        self._outages = Outages(setup.wait)
        self._refusals = Refusals()
        self._bounds = SharedBounds(setup.bounds)
        self._progress = Progress()
        self._stopping = Stopping()
        self._last: dict[str, _Last] = {}

    @property
    def finished(self) -> bool:
        """Everything is sealed."""
        return self._leases.finished

    @property
    def stopped(self) -> StopOrder | None:
        """Why the run ends before its time."""
        return self._stopping.order

    def progress(self) -> Counts:
        """What all workers have done."""
        return self._progress.total()

    def spent(self) -> Amount:
        """What the run took, its earlier commands included, as far as it is known."""
        return self._budget.settled

    def per_minute(self) -> Mapping[str, float]:
        """The rate limits in force, by unit."""
        return self._starts.per_minute

    def expect(self, worker: str, now: float) -> None:
        """Keeps a share for a worker that is about to begin, as for one that was just heard of."""
        self._hear(worker, now)

    def beat(self, worker: str, beat: Beat, now: float) -> Reply:
        """Takes a heartbeat."""
        self._hear(worker, now)
        renewal = self._leases.renew(worker, beat.held, now)
        last = self._last.get(worker, _Last())
        bounds = self._bounds.of(worker)
        if beat.number > last.number:
            bounds = self._bounds.give(worker, beat.holds)
            self._last[worker] = _Last(beat.number, beat.alive)
            self._progress.note(worker, beat.counts)
            self._budget.report(worker, beat.spent)
            self._budget.give_back(worker, beat.unused)
            if beat.alive > last.alive:
                self._outages.answered(worker, now, left_s=beat.left_s)
            if beat.counts.ok:
                self._refusals.answered()
        return self._reply(worker, renewal, bounds, now)

    def lease(self, worker: str, now: float, *, left: int = 0) -> Next:
        """Asks for work; see `Leases.next`. A run that ends hands nothing out."""
        self._hear(worker, now)
        if self._stopping.order is not None or not self._bounds.of(worker).max:
            return Next(ask_again_s=BEAT_S, finished=self._leases.finished)
        return self._leases.next(worker, now, left=left)

    def ended(self, worker: str, epoch: int, position: int, now: float) -> Lease | None:
        """Ends a lease early; see `Leases.ended`."""
        self._hear(worker, now)
        return self._leases.ended(worker, epoch, position)

    def done(self, worker: str, lease: Lease, now: float) -> Sealing:
        """Takes a finished lease; see `Leases.done`."""
        self._hear(worker, now)
        return self._leases.done(worker, lease)

    def release(self, worker: str, epoch: int, now: float) -> bool:
        """Takes back a lease that is given up; whether the worker held it."""
        self._hear(worker, now)
        return self._leases.release(worker, epoch)

    def starts(self, worker: str, asked: Asked, now: float) -> Given:
        """Asks for starts; see `Starts.ask`."""
        self._hear(worker, now)
        return self._starts.ask(worker, asked, now)

    def reserve(self, worker: str, each: Amount, wanted: int, now: float) -> Chunk:
        """Asks for budget; see `Budget.reserve`. A budget that is spent ends the run."""
        self._hear(worker, now)
        chunk = self._budget.reserve(worker, each, wanted, workers=len(self._workers))
        if chunk.spent is not None:
            self._stopping.request(Why.BUDGET, _sentence(chunk.spent))
        return chunk

    def away(self, worker: str, words: str, now: float) -> Order:
        """A worker found that the server is away, or its probe failed."""
        self._hear(worker, now)
        self._outages.report(worker, words, now, workers=self._working())
        return self._order(worker, now)

    def refused(
        self, worker: str, refusals: Iterable[Refusal], now: float, *, stuck: bool = False
    ) -> Cause:
        """A worker holds refusals back; see `Refusals.report`."""
        self._hear(worker, now)
        cause = self._refusals.report(worker, refusals, stuck=stuck, workers=self._working())
        if cause is Cause.SETTING:
            self._stopping.request(Why.UNUSABLE, self._refusals.words)
        return cause

    def stop(self, why: Why, reason: str, *, at_once: bool = False) -> StopOrder:
        """Ends the run; the first reason holds."""
        return self._stopping.request(why, reason, at_once=at_once)

    def gone(self, worker: str) -> None:
        """A worker has ended: what it had is free at once."""
        self._workers.gone(worker)
        self._bounds.leave(worker)
        self._last.pop(worker, None)
        self._leases.gone(worker)
        self._starts.gone(worker)
        self._budget.gone(worker)
        self._outages.gone(worker)
        self._refusals.gone(worker)
        self._progress.gone(worker)

    def _hear(self, worker: str, now: float) -> None:
        self._workers.heard(worker, now)
        self._bounds.join(worker)
        for silent in self._workers.silent(now):
            self.gone(silent)

    def _working(self) -> int:
        """Workers that hold leases; at least 1."""
        return max(1, self._leases.holders)

    def _order(self, worker: str, now: float) -> Order:
        words = self._outages.given_up(now)
        if words is not None:
            self._stopping.request(Why.UNUSABLE, words)
        return self._outages.order(worker, now, quiet_until=now + self._starts.paused_s(now))

    def _reply(self, worker: str, renewal: Renewal, bounds: Bounds, now: float) -> Reply:
        return Reply(
            renewal=renewal,
            bounds=bounds,
            order=self._order(worker, now),
            cause=self._refusals.cause,
            paused_s=self._starts.paused_s(now),
            stop=self._stopping.order,
        )


def _sentence(spent: Spent) -> str:
    return str(BudgetSpentError(spent.unit, spent.taken, spent.bound))
