"""A worker's calls to the coordinator, over Ray."""

import asyncio
from typing import TYPE_CHECKING, Any

from ray.exceptions import RayError, RayTaskError

from lm_eval_so.runner.engine.remote.port import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lm_eval_so.runner.engine.coordinator.budget import Chunk
    from lm_eval_so.runner.engine.coordinator.coordinator import Beat, Reply
    from lm_eval_so.runner.engine.coordinator.leases import Next, Sealing
    from lm_eval_so.runner.engine.coordinator.outage import Order
    from lm_eval_so.runner.engine.coordinator.refusals import Cause, Refusal
    from lm_eval_so.runner.engine.coordinator.starts import Asked, Given
    from lm_eval_so.runner.engine.coordinator.stop import StopOrder, Why
    from lm_eval_so.runner.store.parts.lease import Lease
    from lm_eval_so.runner.summary.amount import Amount

_ANSWERED_IN_S = 10.0


class DriverSilentError(Exception):
    """The coordinator is as good as away while the driver is: workers wait, and leave at last."""


class RayPort:
    """See Port.

    Args:
        coordinator: The actor's handle.
        worker: Name of the worker.
    """

    def __init__(self, coordinator: Any, worker: str) -> None:  # noqa: ANN401 - Ray's handles have no type
        self._coordinator, self._worker = coordinator, worker

    async def beat(self, beat: "Beat") -> "Reply":
        """See Port."""
        found: Reply = await self._call("beat", beat)
        return found

    async def lease(self, left: int) -> "Next":
        """See Port."""
        found: Next = await self._call("lease", left=left)
        return found

    async def ended(self, epoch: int, position: int) -> "Lease | None":
        """See Port."""
        found: Lease | None = await self._call("ended", epoch, position)
        return found

    async def done(self, lease: "Lease") -> "Sealing":
        """See Port."""
        found: Sealing = await self._call("done", lease)
        return found

    async def release(self, epoch: int) -> bool:
        """See Port."""
        found: bool = await self._call("release", epoch)
        return found

    async def starts(self, asked: "Asked") -> "Given":
        """See Port."""
        found: Given = await self._call("starts", asked)
        return found

    async def reserve(self, each: "Amount", wanted: int) -> "Chunk":
        """See Port."""
        found: Chunk = await self._call("reserve", each, wanted)
        return found

    async def away(self, words: str) -> "Order":
        """See Port."""
        found: Order = await self._call("away", words)
        return found

    async def refused(self, refusals: "Sequence[Refusal]", *, stuck: bool) -> "Cause":
        """See Port."""
        found: Cause = await self._call("refused", tuple(refusals), stuck=stuck)
        return found

    async def stop(self, why: "Why", reason: str) -> "StopOrder":
        """See Port."""
        found: StopOrder = await self._call("stop", why, reason)
        return found

    async def _call(self, name: str, *values: object, **named: object) -> Any:  # noqa: ANN401 - as above
        try:
            async with asyncio.timeout(_ANSWERED_IN_S):
                return await self._coordinator.call.remote(name, self._worker, *values, **named)
        except DriverSilentError as error:
            raise UnreachableError from error
        except RayTaskError:  # a bug, which another call would meet again
            raise
        except (RayError, TimeoutError) as error:
            raise UnreachableError from error
