"""Tries again what may succeed later, and turns the last failure into data."""

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
from lm_eval_so.runner.models import ChatResponse, Outcome, RunRequest, Wait

_REFUSALS = 10
"""Refusals for want of room, for each retry, that use up no retry."""


class StoppedError(Exception):
    """The run is stopping, and this sample is not sent (again): it stays owed."""


Settle = Callable[[RunRequest], Awaitable[Outcome]]


def wait_as_asked(initial: float, longest: float) -> Callable[[RetryCallState], float]:
    """Seconds to wait: what the server asked for, else exponential with full jitter.

    Full jitter draws from 0 to a bound that doubles each time: "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015. A connection that was not made is tried again within ``initial``:
    one server of several may be away. Where all are, `OutageGuard` waits.
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
    """Tries a request again, as often and as late as the options and the server say.

    Args:
        options: The number of retries and the waits between them.
        stopping: Whether the run is stopping, so that nothing is tried again.
        sleep: For so many seconds.

    Raises (in ``send``):
        StoppedError: The attempt failed and is worth another, but the run is stopping.
    """

    def __init__(
        self,
        options: RunnerOptions,
        *,
        stopping: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._stopping = stopping
        self._retrying = AsyncRetrying(
            stop=_used_up(options.max_retries),
            wait=wait_as_asked(options.backoff_initial, options.backoff_max),
            retry=retry_if_exception(_worth_another),
            before_sleep=self._before_sleep,
            sleep=sleep,
            reraise=True,
        )

    def wrap(self, send: Send) -> Send:
        """``send``, tried again; it raises the error of the last attempt."""

        async def again(request: RunRequest, failed: list[BackendError]) -> ChatResponse:
            if failed:
                raise failed.pop()  # tells tenacity of the first attempt
            return await _attempt(send, request)

        retried = self._retrying.wraps(again)

        async def retrying(request: RunRequest) -> ChatResponse:
            try:  # the first attempt goes without tenacity, which costs more than all else together
                return await _attempt(send, request)
            except BackendError as error:
                return await retried(request, [error])

        return retrying

    def _before_sleep(self, state: RetryCallState) -> None:
        if self._stopping():
            raise StoppedError
        journal = state.args[0].journal
        journal.begin()
        journal.wait(Wait.BACKOFF, state.upcoming_sleep)


async def _attempt(send: Send, request: RunRequest) -> ChatResponse:
    journal = request.journal
    try:
        first = journal.number == 1
        response = await send(request if first else request.with_(attempt=journal.number))
    except BackendError as error:
        journal.close(
            status_code=error.status_code,
            error_type=error.error_type,
            served_by=error.served_by,
        )
        journal.refusals += error.for_room
        raise
    if not first:
        journal.close(status_code=response.status_code, served_by=response.served_by)
    return response


def as_outcome(send: Send) -> Settle:
    """``send`` that returns an Outcome: the one place where an exception becomes data."""

    async def settle(request: RunRequest) -> Outcome:
        try:
            return Outcome(response=await send(request))
        except BackendError as error:
            return Outcome.of_error(error)

    return settle


def _used_up(retries: int) -> Callable[[RetryCallState], bool]:
    """Whether a sample has used its retries; refusals for want of room count beyond a bound."""

    def stop(state: RetryCallState) -> bool:
        journal = state.args[0].journal
        refused = min(journal.refusals, _REFUSALS * retries)
        return bool(journal.number - refused > retries)

    return stop


def _worth_another(error: BaseException) -> bool:
    return isinstance(error, BackendError) and error.retryable
