"""The HTTP client below the SDK's, for answers that are streamed; loaded with the SDK."""

from typing import Any

import httpx2
from openai import DefaultAsyncHttpxClient

from lm_eval_so.runner.backends.openai.kept import KEPT_S, Sending, resending

_CLOSED = (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError)


class StreamClient(DefaultAsyncHttpxClient):
    """Sends again what was lost on a kept connection.

    Concurrency, timeouts and retries are the strategies' affair, so it has no bounds of its own;
    with its usual 100 kept connections it would open new ones all the time.
    """

    _once: httpx2.AsyncClient | None = None  # keeps no connection

    def __init__(self) -> None:
        unbounded = httpx2.Limits(
            max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEPT_S
        )
        super().__init__(limits=unbounded, timeout=None)

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:  # noqa: ANN401 - httpx2's own
        sending = Sending()
        request.extensions["trace"] = sending.trace
        try:
            return await super().send(request, **options)
        except _CLOSED:
            if not sending.lost:
                raise
        if self._once is None:
            nothing_kept = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
            self._once = DefaultAsyncHttpxClient(limits=nothing_kept, timeout=None)
        resending()
        return await self._once.send(request, **options)

    async def aclose(self) -> None:
        if self._once is not None:
            await self._once.aclose()
        await super().aclose()
