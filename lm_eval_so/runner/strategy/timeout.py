"""Bounds one attempt and measures its latency."""

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from datetime import UTC, datetime

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import APITimeoutError, BackendFaultError
from lm_eval_so.runner.host.clock import steady
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy.deadline import Deadline
from lm_eval_so.runner.strategy.fault import where_raised


class InFlight:
    """The requests on the wire.

    Args:
        stopping: Whether the run is stopping, which cancels them.

    Attributes:
        tasks: Those that send them.
        sent: Requests that left so far, those included that left again on a new connection.
        owner: The task whose end is that of all of them; None where that is not known.
    """

    def __init__(self, stopping: Callable[[], bool] = lambda: False) -> None:
        self._stopping = stopping
        self.tasks: set[asyncio.Task[object]] = set()
        self.sent = 0
        self.owner: asyncio.Task[object] | None = None

    def __len__(self) -> int:
        return len(self.tasks)

    def given_up(self) -> bool:
        """Whether a cancelled request may be so by the run, and not by the backend's own code."""
        return self.owner is None or self._stopping() or self.owner.cancelling() > 0


class Timeout:
    """Fails an attempt with APITimeoutError after ``seconds``.

    Nothing waits below it, so the latency is the server's and the network's alone. What arrived
    while the process was suspended is read before the attempt is called late. A backend that
    cancels the task in which it is called fails its attempt, and does not end the task.

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
                    response = await send(request)
            except TimeoutError as error:
                raise APITimeoutError(f"no answer within {seconds:g} s") from error
            except asyncio.CancelledError as error:
                if in_flight.given_up():
                    raise
                await _take_back(task)
                raise _cancelled(error) from error
            else:
                if task.cancelling() and not in_flight.given_up():
                    await _take_back(task)
                return response
            finally:
                journal.latency_ms = round((clock() - started) * 1000, 3)
                in_flight.sent += journal.resent
                in_flight.tasks.discard(task)

        return bounded


def _cancelled(error: asyncio.CancelledError) -> BackendFaultError:
    return BackendFaultError(
        f"the backend broke: it cancelled its own task{where_raised(error)}",
        details={"type": type(error).__name__},
    )


async def _take_back(task: asyncio.Task[object]) -> None:
    """Takes back that the task, the current one, is to be cancelled."""
    while task.uncancel():
        pass
    with suppress(asyncio.CancelledError):
        await _Turn()  # before Python 3.13 it is cancelled all the same, where it next waits
    if task.cancelling():  # by others, meanwhile
        raise asyncio.CancelledError


class _Turn:
    """A turn of the loop."""

    def __await__(self) -> Generator[None]:
        yield
