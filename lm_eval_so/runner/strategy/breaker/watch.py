"""Watches what leaves and what comes back, below everything that waits."""

from collections.abc import Callable

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy.breaker.away import is_sign_of_life


class Watch:
    """Numbers the requests by the order in which they leave.

    Args:
        alive: Called with the number of each request that gets a sign of life.

    Attributes:
        left: Requests that left so far; the number of the last one.
        on_the_wire: Numbers of the requests that have not come back.
    """

    def __init__(self, alive: Callable[[int], None]) -> None:
        self._alive = alive
        self.left = 0
        self.on_the_wire: set[int] = set()

    def wrap(self, send: Send) -> Send:
        """``send``, watched."""

        async def watched(request: RunRequest) -> ChatResponse:
            self.left = number = self.left + 1
            self.on_the_wire.add(number)
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
                self.on_the_wire.discard(number)

        return watched
