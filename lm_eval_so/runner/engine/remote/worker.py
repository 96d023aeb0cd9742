"""A worker of a cluster: one stack, driven as in one process, that obeys the coordinator."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from lm_eval_so.runner.engine.base import Deliver, EngineSetup, Feed
from lm_eval_so.runner.engine.coordinator.coordinator import Beat, Reply
from lm_eval_so.runner.engine.coordinator.leases import LEASE_S, EndAt, Held
from lm_eval_so.runner.engine.coordinator.progress import Counts
from lm_eval_so.runner.engine.coordinator.stop import StopOrder, Why
from lm_eval_so.runner.engine.remote.budget import RemoteBudget
from lm_eval_so.runner.engine.remote.concurrency import UnderWay, follow
from lm_eval_so.runner.engine.remote.evidence import RemoteJudge
from lm_eval_so.runner.engine.remote.heart import Heart
from lm_eval_so.runner.engine.remote.leases import Parts, RemoteLeases
from lm_eval_so.runner.engine.remote.limits import RemoteLimits
from lm_eval_so.runner.engine.remote.outage import RemoteProbes
from lm_eval_so.runner.engine.remote.port import Port, UnreachableError, surely
from lm_eval_so.runner.engine.sync import SyncEngine
from lm_eval_so.runner.errors import BackendUnusableError, LmEvalError, StoreError
from lm_eval_so.runner.models import Outcome, RunRequest
from lm_eval_so.runner.store.parts.lease import Lease
from lm_eval_so.runner.store.parts.part import Part
from lm_eval_so.runner.strategy.spending import Spending
from lm_eval_so.runner.strategy.stack import Stack
from lm_eval_so.runner.strategy.together import Together


class OrderedStopError(LmEvalError):
    """The coordinator has ended the run.

    Args:
        order: As it gave it.
    """

    def __init__(self, order: StopOrder) -> None:
        super().__init__(order.reason)
        self.order = order


class WorkerLeftError(LmEvalError):
    """This worker ends, and the run goes on without it."""


class LeasedFeed(Feed, Protocol):
    """The requests of leases; see `run.shard_feed.ShardFeed`."""

    async def deliver(self, request: RunRequest, outcome: Outcome) -> None: ...

    @property
    def begun(self) -> list[tuple[Lease, int]]: ...

    def end_at(self, epoch: int, position: int) -> int | None: ...

    def drop(self, epoch: int) -> Part | None: ...


class RemoteWorker:
    """Works through the leases that the coordinator gives it.

    Args:
        setup: Without files of the run: ``spent``, ``results`` and ``share_limits_in`` are the
            driver's.
        port: To the coordinator.
        parts: Of the leases.
        clock: Seconds; never goes back.
        lease_s: Seconds that a worker may be silent.

    Attributes:
        leases: For the feed.
        stack: The strategies.
    """

    def __init__(
        self,
        setup: EngineSetup,
        port: Port,
        parts: Parts,
        *,
        clock: Callable[[], float] = time.monotonic,
        lease_s: float = LEASE_S,
    ) -> None:
        self._setup, self._port, self._parts, self._clock = setup, port, parts, clock
        self._stop = setup.stop
        self._told_stop = False
        self._heart = Heart(self._beat, self.leave, clock=clock, lease_s=lease_s)
        self._limits = RemoteLimits(port, clock)
        self._judge = RemoteJudge(port)
        self._probes = RemoteProbes(port, beat_soon=self._heart.soon, leave=self.leave, clock=clock)
        self.stack = self._stack()
        self._probes.guard = self.stack.outage
        self._judge.evidence, self._judge.breaker = self.stack.evidence, self.stack.breaker
        self.leases = RemoteLeases(port, parts, self)
        self._lease_s = lease_s
        self._beats = self._delivered = self._ok = self._most = 0
        self._failed: Counter[str] = Counter()

    async def run(self, feed: LeasedFeed) -> None:
        """Returns when everything is sealed, or the stop has been carried out.

        What is then open goes back to the coordinator, with its part closed.
        """
        self._feed = feed
        self._under_way = UnderWay(
            feed, self._counted(feed.deliver), self.stack, lambda: bool(self._stop)
        )
        async with asyncio.TaskGroup() as group:
            await surely(self._beat)  # gives the share of what may be in flight
            lanes = (
                self._heart.run(),
                self._limits.run(),
                self._judge.run(),
                self.leases.fetch(),
                self.leases.tell(),
            )
            tasks = [group.create_task(lane) for lane in lanes]
            try:
                async with SyncEngine(self._setup, stack=self.stack) as engine:
                    await engine.run(self._under_way, self._under_way.deliver)
                await self._give_back()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._lease_s):
                        await self.leases.all_told()
                await self._heart.now()
            finally:
                for task in tasks:
                    task.cancel()

    def beat_soon(self) -> None:
        """Makes the next heartbeat come at once."""
        self._heart.soon()

    def left(self) -> int:
        """See Needs."""
        return sum(lease.end - begun for lease, begun in self._feed.begun)

    def idle(self) -> None:
        """See Needs."""
        self.stack.evidence.no_more()

    def busy(self) -> None:
        """See Needs."""
        self.stack.evidence.more()

    def _stack(self) -> Stack:
        setup, stop = self._setup, self._stop
        return Stack(
            setup.backend,
            setup.options,
            stopping=lambda: bool(stop),
            give_up=self.fail,
            price=setup.price,
            together=Together(
                limits=self._limits, budget=self._budget, probes=self._probes, judge=self._judge
            ),
            samples=setup.samples,
            clock=self._clock,
        )

    def _budget(self, spending: Spending) -> RemoteBudget:
        self._spending = spending
        self._own_budget = RemoteBudget(
            self._setup.options.budget,
            spending,
            self._port,
            wanted=lambda: 2 * self.stack.slots.limit,
            report=self._heart.now,
        )
        return self._own_budget

    def _counted(self, deliver: Deliver) -> Deliver:
        async def counted(request: RunRequest, outcome: Outcome) -> None:
            await deliver(request, outcome)
            self._delivered += 1
            if outcome.error is None:
                self._ok += 1
            else:
                self._failed[outcome.error.error_type] += 1

        return counted

    async def _beat(self) -> None:
        """One heartbeat.

        Raises:
            UnreachableError: There is no answer.
        """
        if self._stop and not self._told_stop:
            await self._tell_of_stop()
        reports = self._probes.reports
        try:
            reply = await self._port.beat(self._said())
        finally:
            self._own_budget.given_back()
        self._probes.told(reply.order, reports)
        await self._obey(reply)

    def _said(self) -> Beat:
        self._beats += 1
        in_flight, watch = self.stack.in_flight, self.stack.outage.watch
        held = [Held(lease.epoch, begun) for lease, begun in self._feed.begun]
        return Beat(
            number=self._beats,
            held=(*held, *self.leases.held()),
            counts=Counts(
                self._delivered, self._ok, in_flight.sent, len(in_flight), dict(self._failed)
            ),
            unused=self._own_budget.unused(),
            spent=self._spending.settled,
            alive=watch.alive,
            left_s=max(0.0, self._clock() - watch.alive_left) if watch.alive else 0.0,
            holds=max(self._most, self.stack.slots.taken),
        )

    async def _obey(self, reply: Reply) -> None:
        if reply.stop is not None:
            self._told_stop = True
            self._stop.request(OrderedStopError(reply.stop), at_once=reply.stop.at_once)
        for epoch in reply.renewal.lost:
            self._lose(epoch)
        follow(self.stack, reply.bounds)
        self._most = reply.bounds.max
        self._under_way.look()
        self._judge.told(reply.cause)
        self._limits.paused(reply.paused_s)
        for each in reply.renewal.end_at:
            await self._end_early(each)

    async def _end_early(self, each: EndAt) -> None:
        end = self._feed.end_at(*each)
        if end is None:
            end = self.leases.end_at(*each)
        if end is None:
            return  # sealed, and on its way
        if any(lease.epoch == each.epoch and not lease.count for lease, _ in self._feed.begun):
            self._lose(each.epoch)
        if await self._port.ended(each.epoch, end) is None:
            self._lose(each.epoch)

    def _lose(self, epoch: int) -> None:
        part = self._feed.drop(epoch)
        if part is not None:
            try:
                self._parts.close_part(part)
            except StoreError as fault:
                self.fail(fault)
        self.leases.lose(epoch)

    async def _give_back(self) -> None:
        """Gives up what is not sealed; what is in its parts is for whoever comes next."""
        epochs = [lease.epoch for lease, _ in self._feed.begun]
        if self.leases.ahead is not None:
            epochs.append(self.leases.ahead.epoch)
        for epoch in epochs:
            self._lose(epoch)
            try:
                await self._port.release(epoch)
            except UnreachableError:
                return  # they run out

    def leave(self) -> None:
        """Ends this worker; the run goes on without it, and its leases are for others."""
        self._told_stop = True
        self._stop.request(WorkerLeftError("this worker leaves the run"))

    def fail(self, fault: LmEvalError) -> None:
        """Ends the run, here and for all."""
        self._stop.request(fault)
        self._heart.soon()

    async def _tell_of_stop(self) -> None:
        reason = self._stop.reason
        unusable = isinstance(reason, BackendUnusableError)
        await self._port.stop(Why.UNUSABLE if unusable else Why.FAULT, str(reason))
        self._told_stop = True
