"""Tries again what may succeed later, and turns what remains an exception into data."""

import asyncio
from collections.abc import Awaitable, Callable

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    wait_random,
    wait_random_exponential,
)

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.config.schema import RunnerOptions
from lm_eval_so.runner.errors import BackendError, EndpointUnreachableError
from lm_eval_so.runner.models import ChatResponse, Outcome, RunRequest

_REFUSALS = 10
"""Refusals for want of room that a sample may meet for each of its retries."""


class StoppedError(Exception):
    """The run is stopping, and this sample would have been tried again: it stays owed."""


def wait_as_asked(initial: float, longest: float) -> Callable[[RetryCallState], float]:
    """Seconds to wait: what the server asked for, else exponential with full jitter.

    Full jitter draws from 0 to a bound that doubles each time: "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015. A connection that was not made is tried again within ``initial``:
    it may be one server of several, and when there is none left, everybody waits elsewhere.
    """
    soon = wait_random(0, initial)
    backoff = wait_random_exponential(multiplier=initial, max=longest)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, BackendError) and error.retry_after is not None:
            return error.retry_after
        return (soon if isinstance(error, EndpointUnreachableError) else backoff)(state)

    return wait


class Retry:
    """The outermost strategy: called with a request, it returns an Outcome.

    Raises (when called):
        StoppedError: The attempt failed and is worth another, but the run is stopping.
    """

    def __init__(
        self,
        send: Send,
        options: RunnerOptions,
        *,
        stopping: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._send = send
        self._stopping = stopping
        self._retried = AsyncRetrying(
            stop=_used_up(options.max_retries),
            wait=wait_as_asked(options.backoff_initial, options.backoff_max),
            retry=retry_if_exception(_worth_another),
            before_sleep=self._before_sleep,
            sleep=sleep,
            reraise=True,
        ).wraps(self._again)

    async def __call__(self, request: RunRequest) -> Outcome:
        try:
            return Outcome(response=await self._answer(request))
        except BackendError as error:
            return Outcome.of_error(error)

    async def _answer(self, request: RunRequest) -> ChatResponse:
        """The first attempt is made without tenacity, which costs more than all else together."""
        try:
            return await self._attempt(request)
        except BackendError as error:
            return await self._retried(request, [error])

    async def _again(self, request: RunRequest, failed: list[BackendError]) -> ChatResponse:
        """What tenacity calls: at first it is told of the attempt that has been made."""
        if failed:
            raise failed.pop()
        return await self._attempt(request)

    async def _attempt(self, request: RunRequest) -> ChatResponse:
        journal = request.journal
        try:
            first = journal.number == 1
            attempt = request if first else request.with_(attempt=journal.number)
            response = await self._send(attempt)
        except BackendError as error:
            journal.close(status_code=error.status_code, error_type=error.error_type)
            journal.refusals += error.for_room
            raise
        if journal.number > 1:
            journal.close(status_code=response.status_code)
        return response

    def _before_sleep(self, state: RetryCallState) -> None:
        if self._stopping():
            raise StoppedError
        journal = state.args[0].journal
        journal.begin()
        journal.wait("backoff", state.upcoming_sleep)


def _used_up(retries: int) -> Callable[[RetryCallState], bool]:
    """Whether a sample has had its retries; those that found no room count beyond a bound."""

    def stop(state: RetryCallState) -> bool:
        journal = state.args[0].journal
        refused = min(journal.refusals, _REFUSALS * retries)
        return bool(journal.number - refused > retries)

    return stop


def _worth_another(error: BaseException) -> bool:
    return isinstance(error, BackendError) and error.retryable
