"""Bounds one attempt, and takes its time: the innermost strategy."""

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
    """The tasks whose request is on the wire now; ``sent`` counts all that ever were."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[object]] = set()
        self.sent = 0

    def __len__(self) -> int:
        return len(self.tasks)


def timeout(
    send: Send,
    seconds: float,
    in_flight: InFlight,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Send:
    """Wraps ``send`` so that it fails with APITimeoutError after ``seconds``.

    Nothing waits below this point, so the time measured is the server's and the wire's. What
    arrived while the process was suspended is read before it is called late.
    """

    async def bounded(request: RunRequest) -> ChatResponse:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        journal = request.journal
        deadline = asyncio.get_running_loop().time() + seconds
        journal.left(datetime.now(UTC), steady())
        in_flight.tasks.add(task)
        in_flight.sent += 1
        started = clock()
        try:
            async with Deadline(deadline):
                return await send(request.with_(deadline=deadline))
        except TimeoutError as error:
            raise APITimeoutError(f"no answer within {seconds:g} s") from error
        finally:
            journal.latency_ms = round((clock() - started) * 1000, 3)
            in_flight.sent += journal.resent
            in_flight.tasks.discard(task)

    return bounded
