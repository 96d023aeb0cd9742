"""Bounds one attempt and measures its latency."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import APITimeoutError
from lm_eval_so.runner.host.clock import steady
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy.deadline import Deadline


class InFlight:
    """The requests on the wire.

    Attributes:
        tasks: Those that send them.
        sent: Requests that left so far, those included that left again on a new connection.
    """

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[object]] = set()
        self.sent = 0

    def __len__(self) -> int:
        return len(self.tasks)


class Timeout:
    """Fails an attempt with APITimeoutError after ``seconds``.

    Nothing waits below it, so the latency is the server's and the network's alone. What arrived
    while the process was suspended is read before the attempt is called late.

    Args:
        seconds: Of one attempt.
        in_flight: Is kept up to date with the attempts on the wire.
        clock: Seconds; measures the latency.
    """

    def __init__(
        self,
        seconds: float,
        in_flight: InFlight,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._seconds = seconds
        self._in_flight = in_flight
        self._clock = clock

    def wrap(self, send: Send) -> Send:
        """``send`` within the timeout; the journal gets the start and the latency."""
        seconds, in_flight, clock = self._seconds, self._in_flight, self._clock

        async def bounded(request: RunRequest) -> ChatResponse:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - a coroutine runs in a task
            journal = request.journal
            journal.left(datetime.now(UTC), steady())
            in_flight.tasks.add(task)
            in_flight.sent += 1
            started = clock()
            try:
                async with Deadline(asyncio.get_running_loop().time() + seconds):
                    return await send(request)
            except TimeoutError as error:
                raise APITimeoutError(f"no answer within {seconds:g} s") from error
            finally:
                journal.latency_ms = round((clock() - started) * 1000, 3)
                in_flight.sent += journal.resent
                in_flight.tasks.discard(task)

        return bounded
