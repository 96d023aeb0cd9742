"""Bounds the requests at once."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import (
    REFUSALS,
    APIConnectionError,
    APITimeoutError,
    BackendError,
    EndpointUnreachableError,
)
from lm_eval_so.runner.models import ChatResponse, Journal, RunRequest, Wait
from lm_eval_so.runner.strategy.adaptive.controller import Adaptive
from lm_eval_so.runner.strategy.adaptive.rounds import Answer

_TOO_MANY_REQUESTS = 429


class Slots:
    """A semaphore whose size can change; a retry goes before a first attempt.

    Attributes:
        limit: Requests at once.
        taken: Slots in use.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._waiting_retries: deque[asyncio.Future[int]] = deque()

    @property
    def wanted(self) -> bool:
        """Whether a request waits for a slot."""
        return bool(self._waiting or self._waiting_retries)

    async def acquire(self, *, retry: bool) -> int:
        """Waits for a slot; returns how many are taken then, its own included."""
        queue = self._waiting_retries if retry else self._waiting
        if self.taken < self.limit and not self._waiting_retries:
            self.taken += 1
            return self.taken
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        queue.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.release()  # it got the slot at the same moment
            raise

    def resize(self, limit: int) -> None:
        """Sets how many there are; those in use stay in use."""
        self.limit = limit
        self._hand_out()

    def release(self) -> None:
        """Hands the slot to the next in the queue, or frees it."""
        self.taken -= 1
        self._hand_out()

    def _hand_out(self) -> None:
        for queue in (self._waiting_retries, self._waiting):
            while queue and self.taken < self.limit:
                waiter = queue.popleft()
                if not waiter.done():  # else it was cancelled
                    self.taken += 1
                    waiter.set_result(self.taken)


class Concurrency:
    """Lets a request hold a slot while it is sent.

    Args:
        slots: Those there are.
        adaptive: Sets how many there are; is told what came of each request.
        clock: Seconds; never goes back.
    """

    def __init__(
        self,
        slots: Slots,
        adaptive: Adaptive,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._adaptive = adaptive
        self._clock = clock

    def wrap(self, send: Send) -> Send:
        """``send`` within a slot."""
        slots, adaptive, clock = self._slots, self._adaptive, self._clock

        async def limited(request: RunRequest) -> ChatResponse:
            arrived = clock()
            held = await slots.acquire(retry=request.attempt > 1)
            request.journal.wait(Wait.SLOT, clock() - arrived)
            number = adaptive.sent()
            try:
                response = await send(request)
            except BackendError as error:
                error.for_room = _failed(error, request.journal, adaptive, number, held)
                raise
            else:
                adaptive.answered(_answer(response, request.journal, held, slots))
                return response
            finally:
                slots.limit = adaptive.limit
                slots.release()

        return limited


def _failed(
    error: BackendError, journal: Journal, adaptive: Adaptive, number: int, held: int
) -> bool:
    """Tells ``adaptive`` of a failure; returns whether the server had no room for the request.

    A 429 says so. So does a 503 or 529 while others are answered. A broken connection or a timeout
    does so when it is one of many. Where no connection was made, nothing was sent, and the sample
    is not to blame either.
    """
    others_answered = held > 1 or adaptive.answers > journal.answers_seen
    journal.answers_seen = adaptive.answers
    if error.status_code in REFUSALS and error.retryable:  # a spent quota is a 429 too
        adaptive.refused(number, held, error.status_code)
        return error.status_code == _TOO_MANY_REQUESTS or others_answered
    if isinstance(error, APIConnectionError | APITimeoutError):
        one_of_many = adaptive.refused(number, held, None)
        nothing_was_sent = isinstance(error, EndpointUnreachableError)
        return nothing_was_sent or (one_of_many and others_answered)
    return False


def _answer(response: ChatResponse, journal: Journal, held: int, slots: Slots) -> Answer:
    tokens = response.tokens.output if response.tokens else None
    return Answer(
        latency_s=(journal.latency_ms or 0.0) / 1000,
        tokens=tokens or 0,
        in_use=slots.taken,
        held=held,
        paced_s=journal.waited_ms.get(Wait.RATE_LIMIT, 0.0) / 1000,
        wanted=slots.wanted,
    )
