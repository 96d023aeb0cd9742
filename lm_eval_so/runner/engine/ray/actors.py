"""What runs in Ray's processes: the coordinator, and the workers."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lm_eval_so.runner.engine.cluster import Ended, Job, Working
from lm_eval_so.runner.engine.coordinator.coordinator import Coordinator, CoordinatorSetup
from lm_eval_so.runner.engine.coordinator.progress import Counts
from lm_eval_so.runner.engine.coordinator.stop import StopOrder, Why
from lm_eval_so.runner.engine.ray.port import DriverSilentError, RayPort
from lm_eval_so.runner.engine.remote.port import Port
from lm_eval_so.runner.host.event_loop import run
from lm_eval_so.runner.summary.amount import Amount

_DRIVER_SILENT_S = 10.0
"""Seconds without a look of the driver after which nobody is answered: it may be gone for good."""
_LOOK_S = 0.2  # seconds between two looks at whether the node is still there


class Standing(NamedTuple):
    """How the run stands."""

    counts: Counts
    spent: Amount
    stop: StopOrder | None
    per_minute: Mapping[str, float]
    finished: bool


class CoordinatorActor:
    """The coordinator of a run; its calls come one at a time.

    While the driver is silent nobody is answered, and so nobody can keep a lease alive. That time
    does not pass for the coordinator, or the leases of all would have run out when it is over.

    Args:
        setup: What it is made of.
        clock: Seconds; never goes back.
    """

    def __init__(
        self, setup: CoordinatorSetup, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._coordinator = Coordinator(setup, clock())
        self._driver_seen = clock()
        self._silent_s = 0.0

    def call(self, name: str, worker: str, *values: object, **named: object) -> Any:  # noqa: ANN401 - any of them
        """A call of a worker; see `Port`.

        Raises:
            DriverSilentError: The driver does not look any more.
        """
        if self._silence():
            raise DriverSilentError
        if name == "stop":
            return self._coordinator.stop(*values, **named)  # type: ignore[arg-type]
        return getattr(self._coordinator, name)(worker, *values, now=self._now(), **named)

    def stop(self, why: Why, reason: str, *, at_once: bool) -> None:
        """Ends the run."""
        self._coordinator.stop(why, reason, at_once=at_once)

    def expect(self, worker: str) -> None:
        """A worker is about to begin."""
        self._coordinator.expect(worker, self._now())

    def gone(self, worker: str) -> None:
        """A worker has died."""
        self._coordinator.gone(worker)

    def standing(self) -> Standing:
        """How the run stands; asked by the driver, now and then."""
        self._silent_s += self._silence()
        self._driver_seen = self._clock()
        coordinator = self._coordinator
        return Standing(
            coordinator.progress(),
            coordinator.spent(),
            coordinator.stopped,
            coordinator.per_minute(),
            coordinator.finished,
        )

    def _now(self) -> float:
        return self._clock() - self._silent_s

    def _silence(self) -> float:
        """Seconds for which nobody has been answered."""
        return max(0.0, self._clock() - self._driver_seen - _DRIVER_SILENT_S)


class WorkerActor:
    """A worker: one thread works, in an event loop of ours; the other one answers the driver.

    It has no coroutine of its own, or Ray would run it in its event loop.

    Args:
        name: Of this process alone.
        coordinator: Handle of the coordinator.
        job: What it does.
    """

    def __init__(self, name: str, coordinator: Any, job: Job) -> None:  # noqa: ANN401 - Ray's handles have no type
        self._work = _Work(RayPort(coordinator, name), job)

    def up(self) -> None:
        """Returns once the worker is there."""

    def work(self) -> Ended:
        """Works until everything is sealed, or the run ends."""
        return run(self._work.carry_out())

    def beat_soon(self) -> None:
        """There is news from the coordinator."""
        self._work.beat_soon()


class _Work:
    def __init__(self, port: Port, job: Job) -> None:
        self._port, self._job = port, job
        self._loop: asyncio.AbstractEventLoop | None = None
        self._working: Working | None = None

    async def carry_out(self) -> Ended:
        self._loop = asyncio.get_running_loop()
        watching = asyncio.create_task(self._leave_with_the_node())
        try:
            return await self._job(self._port, self._started)
        finally:
            watching.cancel()

    def beat_soon(self) -> None:
        loop, working = self._loop, self._working
        if loop is not None and working is not None and not loop.is_closed():
            loop.call_soon_threadsafe(working.beat_soon)

    async def _leave_with_the_node(self) -> None:
        """Sends nothing more once the node is gone; Ray ends its workers seconds later.

        A node that a driver has begun goes when the driver is killed, and the next command takes
        over what is in the parts.
        """
        node = os.getppid()
        while os.getppid() == node:  # noqa: ASYNC110 - there is no event of it
            await asyncio.sleep(_LOOK_S)
        if self._working is not None:
            self._working.leave()

    def _started(self, working: Working) -> None:
        self._working = working
