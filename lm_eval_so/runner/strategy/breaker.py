"""Stops a run whose setting is wrong, and waits for a server that is away."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import (
    AuthenticationError,
    BackendError,
    BackendUnusableError,
    EndpointUnreachableError,
    NotFoundError,
    PermissionDeniedError,
    ProxyAuthenticationError,
    ProxyError,
    QuotaExceededError,
    TLSError,
)
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy.retry import StoppedError

_LOG = logging.getLogger(__name__)
_WRONG_SETTING = (AuthenticationError, QuotaExceededError)
_ON_THE_WAY = (ProxyAuthenticationError, ProxyError, TLSError)  # nothing reached the server
_PERHAPS_ONE_SAMPLE = (PermissionDeniedError, NotFoundError)
_IN_A_ROW = 10  # refusals without an answer between them, once there has been one
_FIRST_PROBE, _LONGEST_PROBE = 0.1, 2.0  # seconds between two probes; doubles each time


class Breaker:
    """Between the retries and the slots, so that who waits for the server holds no slot.

    While nobody takes connections at the endpoint, one request is tried again and again, and the
    others wait; no sample is charged for it. A wrong key, an unknown model or a spent quota ends
    the run, and every sample it met stays owed.

    Args:
        wait: Seconds that a server may be away.
        give_up: Ends the run.
        remedy: What to do about an error, in a few words.
    """

    def __init__(
        self,
        wait: float,
        *,
        give_up: Callable[[BackendUnusableError], None],
        remedy: Callable[[BackendError], Awaitable[str]],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._wait = wait
        self._give_up = give_up
        self._remedy = remedy
        self._clock = clock
        self._sleep = sleep
        self._tripped = self._answered = False
        self._refusals = 0
        self._over: asyncio.Future[None] | None = None  # set while the server is away

    def gate(self, send: Send) -> Send:
        """``send``, closed once the run is given up: for those that waited for their slot."""

        async def gated(request: RunRequest) -> ChatResponse:
            if self._tripped:
                raise StoppedError
            return await send(request)

        return gated

    def wrap(self, send: Send) -> Send:
        """``send``, guarded."""

        async def guarded(request: RunRequest) -> ChatResponse:
            while True:
                while self._over is not None:
                    await asyncio.shield(self._over)
                try:
                    response = await send(request)
                except EndpointUnreachableError as error:
                    if self._over is None:
                        return await self._probe(send, request, error)
                except BackendError as error:
                    await self._judge(error)
                    raise
                else:
                    self._note_answer()
                    return response

        return guarded

    async def _probe(
        self, send: Send, request: RunRequest, error: EndpointUnreachableError
    ) -> ChatResponse:
        """Tries this one request until the server takes it."""
        self._over = asyncio.get_running_loop().create_future()
        began, pause = self._clock(), _FIRST_PROBE
        _LOG.warning("%s; trying again for up to %g s", error.message, self._wait)
        try:
            while self._clock() - began < self._wait:
                await self._sleep(pause)
                pause = min(2 * pause, _LONGEST_PROBE)
                try:
                    response = await send(request)
                except EndpointUnreachableError as still:
                    error = still
                except BackendError as reached:
                    await self._judge(reached)
                    raise
                else:
                    self._note_answer()
                    _LOG.warning("the server is back after %.1f s", self._clock() - began)
                    return response
            await self._trip(error)
            raise StoppedError from error
        finally:
            request.journal.wait("outage", self._clock() - began)
            over, self._over = self._over, None
            over.set_result(None)

    async def _judge(self, error: BackendError) -> None:
        """Ends the run where the error is that of the setting, not of the sample."""
        wrong = isinstance(error, (*_WRONG_SETTING, *_ON_THE_WAY)) and not error.retryable
        if isinstance(error, _PERHAPS_ONE_SAMPLE):
            self._refusals += 1
            wrong = not self._answered or self._refusals >= _IN_A_ROW
        if wrong:
            await self._trip(error)
            raise StoppedError from error

    async def _trip(self, error: BackendError) -> None:
        if self._tripped:
            return
        self._tripped = True
        parts = [error.message.rstrip("."), await self._remedy(error)]
        self._give_up(BackendUnusableError(": ".join(part for part in parts if part)))

    def _note_answer(self) -> None:
        self._answered, self._refusals = True, 0
