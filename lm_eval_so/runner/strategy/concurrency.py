"""At most so many requests at once. A retry goes before a first attempt."""

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
from lm_eval_so.runner.models import ChatResponse, Journal, RunRequest
from lm_eval_so.runner.strategy.adaptive.controller import Adaptive
from lm_eval_so.runner.strategy.adaptive.rounds import Answer

_TOO_MANY_REQUESTS = 429


class Slots:
    """A semaphore of a size that can change, in which retries stand at the head of the queue."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._waiting_retries: deque[asyncio.Future[int]] = deque()

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for a slot."""
        return bool(self._waiting or self._waiting_retries)

    async def acquire(self, *, retry: bool) -> int:
        """Returns once a slot is this caller's: how many were taken then, its own included."""
        queue = self._waiting_retries if retry else self._waiting
        if self.taken < self.limit and not self._waiting_retries:
            self.taken += 1
            return self.taken
        turn: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()  # the slot was handed over in the same moment
            raise  # a cancelled turn is passed over when its time comes

    def release(self) -> None:
        """Hands the slot to who waits, or frees it."""
        self.taken -= 1
        self._hand_out()

    def _hand_out(self) -> None:
        for queue in (self._waiting_retries, self._waiting):
            while queue and self.taken < self.limit:
                turn = queue.popleft()
                if not turn.done():
                    self.taken += 1
                    turn.set_result(self.taken)


def concurrency(
    send: Send,
    slots: Slots,
    adaptive: Adaptive,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Send:
    """Wraps ``send`` so that it holds a slot; ``adaptive`` tells how many there are."""

    async def limited(request: RunRequest) -> ChatResponse:
        arrived = clock()
        held = await slots.acquire(retry=request.attempt > 1)
        request.journal.wait("slot", clock() - arrived)
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
    """Tells of a failure; returns whether it was for want of room, and not the sample's own.

    A 429 says so. A 503 or 529 does while others are answered. A connection that broke, or an
    answer that did not come in time, does when it is one of many; where no connection was made,
    nothing was sent.
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
        paced_s=journal.waited_ms.get("rate_limit", 0.0) / 1000,
        wanted=slots.wanted,
    )
