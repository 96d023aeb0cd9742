"""An event loop whose clock jumps to the next timer, and servers that are simulated in it.

Nothing sleeps: an hour of a run takes as long as its callbacks do. ``asyncio.sleep``,
``asyncio.timeout`` and ``loop.time`` all follow the jumping clock.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import random
import selectors
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from lm_eval_so.runner.backends.http.status import error_class
from lm_eval_so.runner.errors import BackendError, RateLimitError
from lm_eval_so.runner.models import ChatResponse, TokenUsage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from lm_eval_so.runner.models import RunRequest

    Send = Callable[[RunRequest], Awaitable[ChatResponse]]

Result = TypeVar("Result")


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Waits for nothing: the time that it should wait has passed when it returns."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - as the base has it
        if timeout is None:
            raise RuntimeError("everybody waits and nobody will ever wake them")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module's docstring."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._jumping.now


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run` in virtual time; who waits for ever is an error."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now() -> float:
    """Seconds of virtual time."""
    return asyncio.get_running_loop().time()


def log_normal(median: float, sigma: float, seed: int = 7) -> Callable[[], float]:
    """Latencies in seconds."""
    chance = random.Random(seed)
    return lambda: median * math.exp(chance.gauss(0, sigma))


def constant(seconds: float) -> Callable[[], float]:
    return lambda: seconds


def refusal(status: int, retry_after: float | None = None) -> BackendError:
    return error_class(status)("not now", status_code=status, retry_after=retry_after)


ANSWER = ChatResponse(text="fine", status_code=200)


class Slots:
    """``capacity`` requests at once; beyond it a silent queue, or a refusal after 20 ms."""

    def __init__(
        self,
        capacity: int | Callable[[float], int],
        latency: Callable[[], float],
        *,
        queue: bool = False,
        status: int = 503,
        retry_after: float | None = None,
    ) -> None:
        self._capacity = capacity
        self._latency = latency
        self._queue = queue
        self._error = (status, retry_after)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.busy = 0

    @property
    def capacity(self) -> int:
        return self._capacity if isinstance(self._capacity, int) else self._capacity(now())

    async def send(self, _: RunRequest) -> ChatResponse:
        if self.busy >= self.capacity:
            if not self._queue:
                await asyncio.sleep(0.02)
                raise refusal(*self._error)
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        else:
            self.busy += 1
        try:
            await asyncio.sleep(self._latency())
        finally:
            self._next()
        return ANSWER

    def _next(self) -> None:
        while self._waiting and self.busy <= self.capacity:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.busy -= 1


class Batch:
    """Continuous batching, as vLLM does it: a step takes ``step + each * in flight`` seconds."""

    def __init__(
        self, step: float, each: float, steps: Callable[[], float], *, most: int | None = None
    ) -> None:
        self._step, self._each, self._steps = step, each, steps
        self._most = most or 1 << 30
        self._done = 0.0  # steps since the beginning
        self._at = 0.0
        self._running: list[tuple[float, int, asyncio.Future[None]]] = []
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def send(self, _: RunRequest) -> ChatResponse:
        self._advance()
        turn = asyncio.get_running_loop().create_future()
        steps = self._steps()
        if len(self._running) >= self._most:
            self._waiting.append((steps, turn))
        else:
            heapq.heappush(self._running, (self._done + steps, next(self._order), turn))
        self._plan()
        await turn
        return ChatResponse(
            text="fine", status_code=200, tokens=TokenUsage(input=10, output=math.ceil(steps))
        )

    def _pace(self) -> float:
        return self._step + self._each * len(self._running)

    def _advance(self) -> None:
        self._done += (now() - self._at) / self._pace()
        self._at = now()

    def _plan(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._running:
            seconds = max(0.0, self._running[0][0] - self._done) * self._pace()
            self._timer = asyncio.get_running_loop().call_later(seconds, self._finish)

    def _finish(self) -> None:
        self._advance()
        while self._running and self._running[0][0] <= self._done + 1e-9:
            turn = heapq.heappop(self._running)[2]
            if not turn.done():
                turn.set_result(None)
            if self._waiting:
                steps, other = self._waiting.popleft()
                heapq.heappush(self._running, (self._done + steps, next(self._order), other))
        self._plan()


class TokenBucket:
    """Another server behind ``per_second`` requests, of which ``burst`` may come at once: 429.

    A burst of 1 is nginx's ``limit_req`` as it stands without ``burst=``.
    """

    def __init__(
        self,
        send: Send,
        per_second: float,
        burst: float,
        *,
        status: int = 429,
        tells_wait: bool = False,
    ) -> None:
        self._send, self._rate, self._burst = send, per_second, burst
        self._status, self._tells_wait = status, tells_wait
        self._level, self._at = burst, 0.0

    async def send(self, request: RunRequest) -> ChatResponse:
        self._level = min(self._burst, self._level + (now() - self._at) * self._rate)
        self._at = now()
        if self._level < 1 - 1e-9:
            wait = (1 - self._level) / self._rate
            await asyncio.sleep(0.001)
            raise refusal(self._status, wait if self._tells_wait else None)
        self._level -= 1
        return await self._send(request)


class Flaky:
    """Another server, before which a share of the requests fails by chance."""

    def __init__(self, send: Send, share: float, make: Callable[[], BackendError]) -> None:
        self._send, self._share, self._make = send, share, make
        self._chance = random.Random(5)

    async def send(self, request: RunRequest) -> ChatResponse:
        if self._chance.random() < self._share:
            raise self._make()
        return await self._send(request)


__all__ = [
    "Batch",
    "Flaky",
    "RateLimitError",
    "Slots",
    "TokenBucket",
    "VirtualLoop",
    "constant",
    "log_normal",
    "now",
    "refusal",
    "run",
]
