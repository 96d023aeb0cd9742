"""Watches what leaves and what comes back, below everything that waits."""

import time
from collections.abc import Callable
from math import inf

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy.breaker.away import is_sign_of_life


class Watch:
    """Numbers the requests by the order in which they leave.

    Args:
        alive: Called with the number of each request that gets a sign of life.
        clock: Seconds; never goes back.

    Attributes:
        left: Requests that left so far; the number of the last one.
        on_the_wire: The requests that have not come back: by number, when each left.
        alive: Signs of life so far.
        alive_left: When the last request left that got one.
    """

    def __init__(
        self, alive: Callable[[int], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell = alive
        self._clock = clock
        self.left = self.alive = 0
        self.alive_left = -inf
        self.on_the_wire: dict[int, float] = {}

    def wrap(self, send: Send) -> Send:
        """``send``, watched."""

        async def watched(request: RunRequest) -> ChatResponse:
            self.left = number = self.left + 1
            self.on_the_wire[number] = self._clock()
            try:
                response = await send(request)
            except BackendError as error:
                if is_sign_of_life(error):
                    self._alive(number)
                raise
            else:
                self._alive(number)
                return response
            finally:
                del self.on_the_wire[number]

        return watched

    def _alive(self, number: int) -> None:
        self.alive += 1
        self.alive_left = max(self.alive_left, self.on_the_wire[number])
        self._tell(number)
