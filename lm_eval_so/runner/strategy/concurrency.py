"""At most so many requests at once. A retry goes before a first attempt."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.models import ChatResponse, RunRequest


class Slots:
    """A semaphore in which retries stand at the head of the queue."""

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
        for queue in (self._waiting_retries, self._waiting):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self.taken -= 1


def concurrency(
    send: Send, slots: Slots, *, clock: Callable[[], float] = time.perf_counter
) -> Send:
    """Wraps ``send`` so that it holds a slot while it runs."""

    async def limited(request: RunRequest) -> ChatResponse:
        arrived = clock()
        await slots.acquire(retry=request.attempt > 1)
        request.journal.wait("slot", clock() - arrived)
        try:
            return await send(request)
        finally:
            slots.release()

    return limited
