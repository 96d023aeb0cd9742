"""The ``sync`` engine: one process, a fixed pool of workers over a lazy iterator."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from lm_eval_so.runner.models import (
    RunRequest,
    RunResult,
)
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.strategy.deadline import Deadline
from lm_eval_so.runner.strategy.retry import StoppedError
from lm_eval_so.runner.strategy.stack import Stack


class Answered(NamedTuple):
    """A sample that has its answer already: the line at ``offset`` of the results file."""

    offset: int


Deliver = Callable[[RunRequest, RunResult], Awaitable[None]]
Keep = Callable[[Answered], Awaitable[None]]


class Stop:
    """The one way to end a run early: the first reason holds."""

    def __init__(self) -> None:
        self.reason: BaseException | None = None
        self.at_once = False
        self._changed = asyncio.Event()

    def __bool__(self) -> bool:
        return self.reason is not None

    def request(self, reason: BaseException, *, at_once: bool = False) -> None:
        """Asks for the end: nothing more is sent; ``at_once``, what is in flight is given up."""
        self.reason = self.reason or reason
        self.at_once = self.at_once or at_once
        self._changed.set()

    async def wait(self) -> None:
        """Returns at the next request."""
        await self._changed.wait()
        self._changed.clear()


class SyncEngine:
    """Sends what is owed and delivers each result as it comes.

    Args:
        stack: The strategies around the backend.
        recorder: Makes results of outcomes.
        deliver: Takes a result; once it returns, the result is safe.
        keep: Is told of each sample that has its answer.
        stop: Ends the run early; a fault in the backend or in ``deliver`` requests it too.
    """

    def __init__(
        self, stack: Stack, recorder: Recorder, deliver: Deliver, keep: Keep, stop: Stop
    ) -> None:
        self._stack = stack
        self._recorder = recorder
        self._deliver = deliver
        self._keep = keep
        self._stop = stop

    async def run(
        self, items: Iterator[RunRequest | Answered], *, workers: int, drain_timeout: float
    ) -> None:
        """Returns when all is delivered, or the stop has been carried out.

        Args:
            items: All samples, in dataset order; read as far as there are free workers.
            workers: Samples under way at once, those that back off included.
            drain_timeout: Seconds that a stop waits for what is in flight.
        """
        self._stack.evidence.watch(workers)
        async with asyncio.TaskGroup() as group:
            pool: set[asyncio.Task[None]] = set()
            for number in range(workers):
                pool.add(group.create_task(self._work(items)))
                if number < self._stack.slots.limit:
                    # Requests that leave together come back together, wave upon wave, and the last
                    # of a wave waits for all others; a turn of the loop keeps them apart.
                    await asyncio.sleep(0)
            watcher = group.create_task(self._watch(pool, drain_timeout))
            await asyncio.wait(pool)
            watcher.cancel()

    async def _work(self, items: Iterator[RunRequest | Answered]) -> None:
        try:
            for item in items:
                if self._stop:
                    return
                if isinstance(item, Answered):
                    await self._keep(item)
                    continue
                await self._ask(item)
            self._stack.evidence.no_more()
        except StoppedError:
            return
        except Exception as fault:  # noqa: BLE001 - raised again once what is in flight is safe
            self._stop.request(fault)

    async def _ask(self, request: RunRequest) -> None:
        outcome = await self._stack.settle(request)
        # No pause before this: the answer is written before the next request leaves, so that a kill
        # costs no more answers than there were requests in flight.
        await self._deliver(request, self._recorder.record(request, outcome))

    async def _watch(self, pool: set[asyncio.Task[None]], drain_timeout: float) -> None:
        await self._stop.wait()
        for worker in pool - self._stack.in_flight.tasks:
            worker.cancel()
        with suppress(TimeoutError):
            async with Deadline(asyncio.get_running_loop().time() + drain_timeout):
                while not self._stop.at_once:
                    await self._stop.wait()
        for worker in pool:
            worker.cancel()
