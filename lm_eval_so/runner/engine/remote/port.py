"""The calls of one worker to the coordinator of its run, over whatever lies between them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from lm_eval_so.runner.engine.coordinator.budget import Chunk
from lm_eval_so.runner.engine.coordinator.coordinator import Beat, Reply
from lm_eval_so.runner.engine.coordinator.leases import Next, Sealing
from lm_eval_so.runner.engine.coordinator.outage import Order
from lm_eval_so.runner.engine.coordinator.refusals import Cause, Refusal
from lm_eval_so.runner.engine.coordinator.starts import Asked, Given
from lm_eval_so.runner.engine.coordinator.stop import StopOrder, Why
from lm_eval_so.runner.store.parts.lease import Lease
from lm_eval_so.runner.summary.amount import Amount

AGAIN_S = 0.5
"""Seconds until a call that did not get through is made again."""

Answer = TypeVar("Answer")


class UnreachableError(Exception):
    """A call had no answer; it may have been heard all the same."""


class Port(Protocol):
    """See `Coordinator` for each call, of which the worker's name and the time are left out.

    Raises (in every call):
        UnreachableError: There is no answer.
    """

    async def beat(self, beat: Beat) -> Reply: ...

    async def lease(self, left: int) -> Next: ...

    async def ended(self, epoch: int, position: int) -> Lease | None: ...

    async def done(self, lease: Lease) -> Sealing: ...

    async def release(self, epoch: int) -> bool: ...

    async def starts(self, asked: Asked) -> Given: ...

    async def reserve(self, each: Amount, wanted: int) -> Chunk: ...

    async def away(self, words: str) -> Order: ...

    async def refused(self, refusals: Sequence[Refusal], *, stuck: bool) -> Cause: ...

    async def stop(self, why: Why, reason: str) -> StopOrder: ...


async def surely(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Makes a call until it is answered; one that is made twice must do no harm."""
    while True:
        try:
            return await call()
        except UnreachableError:
            await asyncio.sleep(AGAIN_S)


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Waits until the event, which is cleared, or for so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
    event.clear()
