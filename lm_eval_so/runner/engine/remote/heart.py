"""The heartbeat of a worker."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from lm_eval_so.runner.engine.coordinator.coordinator import BEAT_S
from lm_eval_so.runner.engine.coordinator.leases import LEASE_S
from lm_eval_so.runner.engine.remote.port import AGAIN_S, UnreachableError, wait_for


class Heart:
    """Beats every two seconds, and at once where there is news; one beat at a time.

    One that was not answered is soon made again, so that leases live on once somebody answers.

    Args:
        beat: Makes one heartbeat, and obeys its answer.
        lost: Called when no beat was answered for so long that all leases have run out.
        clock: Seconds; never goes back.
        lease_s: Seconds that a lease lives beyond the last heartbeat that named it.
    """

    def __init__(
        self,
        beat: Callable[[], Awaitable[None]],
        lost: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        lease_s: float = LEASE_S,
    ) -> None:
        self._beat, self._lost = beat, lost
        self._clock, self._lease_s = clock, lease_s
        self._soon = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []

    def soon(self) -> None:
        """Makes the next beat come at once."""
        self._soon.set()

    async def now(self) -> None:
        """Returns after a beat that begins from now on."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._soon.set()
        await done

    async def run(self) -> None:
        """Beats until it is cancelled."""
        answered_at = self._clock()
        while True:
            self._soon.clear()
            waiting, self._waiting = self._waiting, []
            began, pause_s = self._clock(), BEAT_S
            try:
                await self._beat()
            except UnreachableError:
                pause_s = AGAIN_S
                if self._clock() - answered_at > self._lease_s:
                    self._lost()
            else:
                answered_at = began
            for done in waiting:
                if not done.done():
                    done.set_result(None)
            await wait_for(self._soon, pause_s)
