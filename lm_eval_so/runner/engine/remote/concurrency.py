"""How many requests a worker has in flight and under way: its share, as it is now."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable

from lm_eval_so.runner.engine.base import Deliver, Feed
from lm_eval_so.runner.engine.coordinator.concurrency import Bounds
from lm_eval_so.runner.engine.sync import workers_for
from lm_eval_so.runner.models import Outcome, RunRequest
from lm_eval_so.runner.strategy.stack import Stack


def follow(stack: Stack, bounds: Bounds) -> None:
    """Gives the stack other bounds; all 0 lets it rest."""
    stack.adaptive.bound(bounds.min, bounds.max, bounds.start)
    stack.slots.resize(stack.adaptive.limit)


class UnderWay:
    """A feed and its delivery, between which no more is under way than can soon be sent.

    What a worker has begun nobody else can do, so it begins no more than it needs.

    Args:
        feed: The requests.
        deliver: Takes their outcomes.
        stack: Knows how many can be in flight.
        stopping: The feed has nothing more, so that nobody has to wait for a turn.
    """

    def __init__(
        self, feed: Feed, deliver: Deliver, stack: Stack, stopping: Callable[[], bool]
    ) -> None:
        self._feed, self._deliver, self._stack = feed, deliver, stack
        self._stopping = stopping
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._count = 0

    async def next(self) -> RunRequest | None:
        """See Feed."""
        while self._count >= self._most():
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        self._count += 1
        request = None
        try:
            request = await self._feed.next()
        finally:
            if request is None:
                self._end()
        return request

    async def deliver(self, request: RunRequest, outcome: Outcome) -> None:
        """See `engine.base.Deliver`."""
        try:
            await self._deliver(request, outcome)
        finally:
            self._end()

    def look(self) -> None:
        """Lets go who may begin by now."""
        free = self._most() - self._count
        while self._waiting and free > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1

    def _end(self) -> None:
        self._count -= 1
        self.look()

    def _most(self) -> int:
        if self._stopping():  # what is cancelled then counts as under way for ever
            return sys.maxsize
        limit = self._stack.slots.limit
        return workers_for(limit) if limit else 0
