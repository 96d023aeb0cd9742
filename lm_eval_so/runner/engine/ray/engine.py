"""The ``ray`` engine: workers on one machine or many, each with its own event loop and stack.

The driver holds the run directory. It hands nothing out: that does the coordinator, an actor.
"""

import asyncio
import logging
import secrets
from contextlib import suppress
from typing import Any, Self

import ray
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.engine.base import Deliver, EngineSetup, Feed, Live
from lm_eval_so.runner.engine.cluster import Counted, Ended
from lm_eval_so.runner.engine.coordinator.concurrency import Bounds
from lm_eval_so.runner.engine.coordinator.coordinator import CoordinatorSetup
from lm_eval_so.runner.engine.coordinator.progress import Counts
from lm_eval_so.runner.engine.coordinator.starts import RateLimits
from lm_eval_so.runner.engine.coordinator.stop import StopOrder, Why
from lm_eval_so.runner.engine.ray.actors import CoordinatorActor, Standing, WorkerActor
from lm_eval_so.runner.engine.ray.connection import connect, disconnect, worker_count
from lm_eval_so.runner.errors import (
    BackendUnusableError,
    BudgetSpentError,
    EngineError,
    LmEvalError,
)
from lm_eval_so.runner.strategy.stack import bounds_of
from lm_eval_so.runner.summary.amount import Amount

_LOG = logging.getLogger(__name__)
_LOOK_S = 0.5  # seconds between two looks at how the run stands
_GRACE_S = 5.0  # seconds beyond the drain timeout in which a worker seals what it has
_DEATHS_A_WORKER = 5
"""Workers that may die, for each one that there is: more is no chance."""


class RayEngine:
    """See Engine. What is delivered is in the parts of the workers; the feed is not asked.

    Args:
        setup: What the run gives it; it needs a ``cluster``.
    """

    def __init__(self, setup: EngineSetup) -> None:
        assert setup.cluster is not None  # noqa: S101 - a run in parts has one
        self._setup, self._cluster = setup, setup.cluster
        self._stop = setup.stop
        self._standing = Standing(Counts(), Amount(), None, {}, finished=False)
        self._told = Counts()
        self._findings: dict[str, Any] = {}
        self._live: dict[str, Any] = {}  # handles of workers, by name
        self._deaths = 0
        self._over = asyncio.Event()  # no worker is to begin any more

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(connect, self._setup.engine)
        self._workers = worker_count(self._setup.engine)
        # Beside the driver: no other node's death may end the run.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(num_cpus=0, max_restarts=0, scheduling_strategy=here)(CoordinatorActor)
        self._coordinator = actor.remote(self._coordinator_setup())
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self._live.values():
            ray.kill(worker)
        ray.kill(self._coordinator)
        await asyncio.to_thread(disconnect)

    async def run(self, feed: Feed, deliver: Deliver) -> None:
        """See Engine."""
        del feed, deliver
        _LOG.info("%d workers", self._workers)
        watching = [asyncio.create_task(each) for each in (self._watch_stop(), self._look())]
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._keep_a_worker())
        finally:
            for each in watching:
                each.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            await self._look_once()
        if not self._stop and not self._standing.finished:
            self._stop.request(EngineError("no worker is left, and not everything is done"))

    def live(self) -> Live:
        """See Engine."""
        counts = self._standing.counts
        return Live(
            in_flight=counts.in_flight,
            requests=counts.requests,
            rate_limit=self._setup.options.rate_limit,
        )

    def findings(self) -> dict[str, Any]:
        """See Engine."""
        per_minute = self._standing.per_minute
        return {**self._findings, **({"limits_per_minute": dict(per_minute)} if per_minute else {})}

    def _coordinator_setup(self) -> CoordinatorSetup:
        options, spent = self._setup.options, self._setup.spent
        earlier = None if spent is None else spent.read()
        auto, start = bounds_of(options, self._setup.backend, self._setup.samples)
        return CoordinatorSetup(
            owed=self._cluster.owed(),
            highest=self._cluster.last_epoch(),
            bounds=Bounds(start, auto.min, auto.max),
            limits=RateLimits(
                options.rate_limit, options.requests_per_minute, options.tokens_per_minute
            ),
            budget=_budget(options),
            earlier=earlier or Amount(),
            wait=options.breaker.wait,
            lease_s=self._setup.engine.worker_timeout,
        )

    async def _keep_a_worker(self) -> None:
        """Has one worker, and another one where it dies, until there is no work for it."""
        while not self._stop and not self._standing.finished:
            ended = await self._work()
            if ended is not None and not ended.left:
                self._findings = {**self._findings, **ended.findings}
                return
            self._deaths += 1
            if self._deaths > self._workers * _DEATHS_A_WORKER:
                self._stop.request(EngineError(f"{self._deaths} workers have died; see run.log"))

    async def _work(self) -> Ended | None:
        """The whole life of a worker; None where it died."""
        name = secrets.token_hex(4)
        actor = ray.remote(num_cpus=1, max_restarts=0, max_concurrency=2)(WorkerActor)
        self._coordinator.expect.remote(name)
        worker = actor.remote(name, self._coordinator, self._cluster.job)
        self._live[name] = worker
        try:
            if not await self._comes_up(worker):
                return Ended(left=False, findings={})
            ended: Ended = await worker.work.remote()
        except RayTaskError as error:
            self._stop.request(_fault(error))
            return None
        except RayError as error:
            if not self._stop.at_once:
                _LOG.warning("a worker has died; another one goes on where it was")
                _LOG.debug("%s", error)
            await self._gone(name)
            return None
        finally:
            del self._live[name]
            ray.kill(worker)
        if ended.left:
            await self._gone(name)
        return ended

    async def _gone(self, name: str) -> None:
        """What the worker had is free at once."""
        with suppress(RayError):
            await self._coordinator.gone.remote(name)

    async def _comes_up(self, worker: Any) -> bool:  # noqa: ANN401 - Ray's handles have no type
        """Whether there is a worker before there is nothing to do; a cluster may have no room."""
        over = asyncio.create_task(self._over.wait())
        up = asyncio.ensure_future(worker.up.remote())
        try:
            await asyncio.wait({up, over}, return_when=asyncio.FIRST_COMPLETED)
            if self._over.is_set():
                return False
            await up
        finally:
            over.cancel()
            up.cancel()
        return True

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            await self._look_once()

    async def _look_once(self) -> None:
        """Sees how the run stands, and passes it on."""
        try:
            self._standing = await self._coordinator.standing.remote()
        except ActorUnavailableError:
            return  # for a moment; the next look tells more
        except RayError as error:
            self._stop.request(EngineError(f"the coordinator has died: {_first_line(error)}"))
            return
        if self._standing.finished:
            self._over.set()
        counts, told = self._standing.counts, self._told
        self._told = counts
        delivered = counts.delivered - told.delivered
        failed = delivered - (counts.ok - told.ok)
        if delivered:
            await self._cluster.counted(Counted(delivered, failed))
        if self._setup.spent is not None and delivered:
            self._setup.spent.write(self._standing.spent)
        if self._standing.stop is not None and not self._stop:
            self._stop.request(_reason(self._standing.stop))

    async def _watch_stop(self) -> None:
        """Carries out the stop, whoever asked for it."""
        await self._stop.wait()
        self._over.set()
        await self._pass_on_stop()
        drained = asyncio.create_task(asyncio.sleep(self._setup.options.drain_timeout + _GRACE_S))
        while not self._stop.at_once and not drained.done():
            again = asyncio.create_task(self._stop.wait())
            await asyncio.wait({again, drained}, return_when=asyncio.FIRST_COMPLETED)
            again.cancel()
        drained.cancel()
        for worker in list(self._live.values()):
            ray.kill(worker)

    async def _pass_on_stop(self) -> None:
        with suppress(RayError):
            await self._coordinator.stop.remote(
                Why.ASKED, str(self._stop.reason), at_once=self._stop.at_once
            )
            for worker in list(self._live.values()):
                worker.beat_soon.remote()


def _budget(options: RunnerOptions) -> dict[str, float]:
    units = ("requests", "tokens", "usd")
    return {unit: bound for unit in units if (bound := getattr(options.budget, unit)) is not None}


def _reason(order: StopOrder) -> Exception:
    match order.why:
        case Why.UNUSABLE:
            return BackendUnusableError(order.reason)
        case Why.BUDGET:
            return BudgetSpentError.told(order.reason)
        case _:
            return EngineError(order.reason)


def _fault(error: RayTaskError) -> Exception:
    """What has stopped a worker; another one would come no further."""
    cause = error.cause
    if isinstance(cause, LmEvalError):
        return cause
    _LOG.error("a worker has failed", exc_info=error)
    return EngineError(f"a worker has failed: {type(cause).__name__}: {cause}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
