"""The ``sync`` engine: one process, a fixed pool of workers that share a feed."""

import asyncio
from contextlib import suppress
from typing import Any, Self

from lm_eval_so.runner.engine.base import Deliver, EngineSetup, Feed, Live
from lm_eval_so.runner.store.files import reading
from lm_eval_so.runner.store.segments import open_results
from lm_eval_so.runner.strategy.breaker.alike import MOST_HELD
from lm_eval_so.runner.strategy.breaker.away import LEAST_ROUND
from lm_eval_so.runner.strategy.deadline import Deadline
from lm_eval_so.runner.strategy.fault import told_as_setup
from lm_eval_so.runner.strategy.retry import StoppedError
from lm_eval_so.runner.strategy.stack import Stack

_WORKERS_PER_SLOT = 2
"""While one worker backs off without a slot, another uses it."""
_LEAST_WORKERS = MOST_HELD + LEAST_ROUND
"""With few slots too, refusals that are held back leave enough workers to tell an outage."""


def workers_for(slots: int) -> int:
    """Samples under way that keep so many slots in use."""
    return max(slots * _WORKERS_PER_SLOT, _LEAST_WORKERS)


class SyncEngine:
    """Sends each request through the strategies around the backend.

    Args:
        setup: What the run gives it.
        workers: Samples under way at once, those that back off included; by the options if None.
        stack: The strategies; made of the setup if None.
    """

    def __init__(
        self, setup: EngineSetup, *, workers: int | None = None, stack: Stack | None = None
    ) -> None:
        self._setup = setup
        self._stop = setup.stop
        enough = workers_for(setup.options.most_at_once)
        self._workers = workers or min(enough, setup.samples)
        self._stack = stack or _stack(setup)

    async def __aenter__(self) -> Self:
        self._take_up()
        with told_as_setup("__aenter__"):
            await self._setup.backend.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        with told_as_setup("__aexit__"):
            await self._setup.backend.__aexit__(None, None, None)

    async def run(self, feed: Feed, deliver: Deliver) -> None:
        """See Engine. The feed is asked as far as there are free workers."""
        self._stack.in_flight.owner = asyncio.current_task()
        async with asyncio.TaskGroup() as group:
            pool: set[asyncio.Task[None]] = set()
            for number in range(self._workers):
                pool.add(group.create_task(self._work(feed, deliver)))
                if number < self._stack.slots.limit:
                    # Requests that leave together come back together, wave upon wave, and the last
                    # of a wave waits for all others; a turn of the loop keeps them apart.
                    await asyncio.sleep(0)
            watcher = group.create_task(self._watch(pool))
            await asyncio.wait(pool)
            watcher.cancel()

    def live(self) -> Live:
        """See Engine."""
        stack = self._stack
        return Live(
            in_flight=len(stack.in_flight),
            requests=stack.in_flight.sent,
            concurrency=stack.slots.limit,
            rate_limit=self._setup.options.rate_limit or stack.start_rate.per_second,
            paused_s=stack.limiter.paused_s,
        )

    def findings(self) -> dict[str, Any]:
        """See Engine."""
        return self._stack.record()

    def _take_up(self) -> None:
        """Goes on with what earlier commands took and found."""
        if self._setup.answered_before():
            self._stack.evidence.answered_before()
        spent, results = self._setup.spent, self._setup.results
        if spent is not None and (earlier := spent.read()) is not None:
            self._stack.spending.begin(earlier)
        elif results is not None:
            # A run in parts may have no line yet.
            with (
                reading(results),
                suppress(FileNotFoundError),
                open_results(results.parent) as lines,
            ):
                self._stack.spending.begin_from_lines(lines)
        self._stack.evidence.watch(self._workers)

    async def _work(self, feed: Feed, deliver: Deliver) -> None:
        try:
            while (request := await feed.next()) is not None:
                outcome = await self._stack.settle(request)
                # No pause before this: the answer is written before the next request leaves, so
                # that a kill costs no more answers than there were requests in flight.
                await deliver(request, outcome)
            if not self._stop:
                self._stack.evidence.no_more()
        except StoppedError:
            return
        except Exception as fault:  # noqa: BLE001 - raised again once what is in flight is safe
            self._stop.request(fault)

    async def _watch(self, pool: set[asyncio.Task[None]]) -> None:
        await self._stop.wait()
        for worker in pool - self._stack.in_flight.tasks:
            worker.cancel()
        drained_by = asyncio.get_running_loop().time() + self._setup.options.drain_timeout
        with suppress(TimeoutError):
            async with Deadline(drained_by):
                while not self._stop.at_once:
                    await self._stop.wait()
        for worker in pool:
            worker.cancel()


def _stack(setup: EngineSetup) -> Stack:
    stop = setup.stop
    return Stack(
        setup.backend,
        setup.options,
        stopping=lambda: bool(stop),
        give_up=stop.request,
        price=setup.price,
        spent=setup.spent,
        share_limits_in=setup.share_limits_in,
        samples=setup.samples,
    )
