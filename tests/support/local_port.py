"""A worker's port to a coordinator in the same loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from lm_eval_so.runner.engine.remote.port import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lm_eval_so.runner.engine.coordinator.budget import Chunk
    from lm_eval_so.runner.engine.coordinator.coordinator import Beat, Coordinator, Reply
    from lm_eval_so.runner.engine.coordinator.leases import Next, Sealing
    from lm_eval_so.runner.engine.coordinator.outage import Order
    from lm_eval_so.runner.engine.coordinator.refusals import Cause, Refusal
    from lm_eval_so.runner.engine.coordinator.starts import Asked, Given
    from lm_eval_so.runner.engine.coordinator.stop import StopOrder, Why
    from lm_eval_so.runner.store.parts.lease import Lease
    from lm_eval_so.runner.summary.amount import Amount

Answer = TypeVar("Answer")


class LocalPort:
    """See Port.

    Args:
        coordinator: Answers.
        worker: The name of the worker.
        clock: The coordinator's, in seconds.
        delay_s: Seconds that a call takes there and back.

    Attributes:
        calls: How often each was made.
        cut: Nothing gets through.
        deaf: What is said gets through, and no answer comes back.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        worker: str,
        clock: Callable[[], float],
        delay_s: float = 0.002,
    ) -> None:
        self._coordinator, self._worker = coordinator, worker
        self._clock, self._delay_s = clock, delay_s
        self.calls: dict[str, int] = {}
        self.cut = self.deaf = False

    async def _call(self, name: str, answer: Callable[[float], Answer]) -> Answer:
        self.calls[name] = self.calls.get(name, 0) + 1
        await asyncio.sleep(self._delay_s / 2)
        if self.cut:
            raise UnreachableError
        found = answer(self._clock())
        await asyncio.sleep(self._delay_s / 2)
        if self.deaf:
            raise UnreachableError
        return found

    async def beat(self, beat: Beat) -> Reply:
        return await self._call("beat", lambda at: self._coordinator.beat(self._worker, beat, at))

    async def lease(self, left: int) -> Next:
        return await self._call(
            "lease", lambda at: self._coordinator.lease(self._worker, at, left=left)
        )

    async def ended(self, epoch: int, position: int) -> Lease | None:
        return await self._call(
            "ended", lambda at: self._coordinator.ended(self._worker, epoch, position, at)
        )

    async def done(self, lease: Lease) -> Sealing:
        return await self._call("done", lambda at: self._coordinator.done(self._worker, lease, at))

    async def release(self, epoch: int) -> bool:
        return await self._call(
            "release", lambda at: self._coordinator.release(self._worker, epoch, at)
        )

    async def starts(self, asked: Asked) -> Given:
        return await self._call(
            "starts", lambda at: self._coordinator.starts(self._worker, asked, at)
        )

    async def reserve(self, each: Amount, wanted: int) -> Chunk:
        return await self._call(
            "reserve", lambda at: self._coordinator.reserve(self._worker, each, wanted, at)
        )

    async def away(self, words: str) -> Order:
        return await self._call("away", lambda at: self._coordinator.away(self._worker, words, at))

    async def refused(self, refusals: Sequence[Refusal], *, stuck: bool) -> Cause:
        return await self._call(
            "refused",
            lambda at: self._coordinator.refused(self._worker, refusals, at, stuck=stuck),
        )

    async def stop(self, why: Why, reason: str) -> StopOrder:
        return await self._call("stop", lambda _: self._coordinator.stop(why, reason))
