"""At most so many requests at once. A retry goes before a first attempt."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy.adaptive import Adaptive

_TOO_BUSY = {429, 503}


class Slots:
    """A semaphore of a size that can change, in which retries stand at the head of the queue."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._waiting_retries: deque[asyncio.Future[None]] = deque()

    async def acquire(self, *, retry: bool) -> None:
        """Returns once a slot is this caller's."""
        queue = self._waiting_retries if retry else self._waiting
        if self.taken < self.limit and not self._waiting_retries:
            self.taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()  # the slot was handed over in the same moment
            raise  # a cancelled turn is passed over when its time comes

    def release(self) -> None:
        """Hands the slot to who waits, or frees it."""
        self.taken -= 1
        self._hand_out()

    def resize(self, limit: int) -> None:
        """Changes the number of slots; what is taken beyond it stays until it is released."""
        self.limit = limit
        self._hand_out()

    def _hand_out(self) -> None:
        for queue in (self._waiting_retries, self._waiting):
            while queue and self.taken < self.limit:
                turn = queue.popleft()
                if not turn.done():
                    self.taken += 1
                    turn.set_result(None)


def concurrency(
    send: Send,
    slots: Slots,
    adaptive: Adaptive | None = None,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Send:
    """Wraps ``send`` so that it holds a slot; ``adaptive`` tells how many there are."""

    async def limited(request: RunRequest) -> ChatResponse:
        arrived = clock()
        await slots.acquire(retry=request.attempt > 1)
        request.journal.wait("slot", clock() - arrived)
        try:
            if adaptive is None:
                return await send(request)
            return await _observed(send, request, slots, adaptive)
        finally:
            slots.release()

    return limited


async def _observed(
    send: Send, request: RunRequest, slots: Slots, adaptive: Adaptive
) -> ChatResponse:
    began = adaptive.clock()
    try:
        response = await send(request)
    except BackendError as error:
        if error.status_code in _TOO_BUSY or error.retry_after is not None:
            adaptive.overloaded(began=began, reason=f"{error.status_code or error.error_type}")
            slots.resize(adaptive.limit)
        raise
    # Where the pace is what holds requests back, more slots would be of no use.
    in_use = 0 if "rate_limit" in request.journal.waited_ms else slots.taken
    adaptive.answered(began=began, latency_ms=request.journal.latency_ms or 0, in_use=in_use)
    if adaptive.limit != slots.limit:
        slots.resize(adaptive.limit)
    return response
