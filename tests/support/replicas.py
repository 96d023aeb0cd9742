"""Servers of a pool, simulated in virtual time, with the shape of a Transport."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any, Self, cast

from lm_eval_so.runner.backends.http.pool import Pool
from lm_eval_so.runner.backends.http.response_body import Answer
from lm_eval_so.runner.errors import APIConnectionError, EndpointUnreachableError
from support.virtual_time import now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping


class Server:
    """Answers 200 after ``latency`` seconds, or what ``status`` says at once.

    ``slots`` are served at once, and the rest wait in the order in which they came.
    """

    def __init__(self, latency: float = 0.05, *, slots: int = 1 << 30) -> None:
        self.latency = latency
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b"{}"
        self.down = self.breaks = False
        self.asked: list[float] = []
        self.answered = 0
        self.most = self._busy = 0
        self._slots = asyncio.Semaphore(slots)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def post(self, body: bytes, headers: Mapping[str, str], resent: object = None) -> Answer:
        del body, headers, resent
        self.asked.append(now())
        if self.down:
            raise EndpointUnreachableError("connection refused")
        if self.breaks:
            raise APIConnectionError("connection reset")
        self._busy += 1
        self.most = max(self.most, self._busy)
        try:
            if self.status == 200:
                async with self._slots:
                    await asyncio.sleep(self.latency)
                self.answered += 1
            return Answer(self.status, self.headers, self.body)
        finally:
            self._busy -= 1

    @asynccontextmanager
    async def stream(
        self, body: bytes, headers: Mapping[str, str], resent: object = None
    ) -> AsyncIterator[_Streamed]:
        yield _Streamed(await self.post(body, headers, resent))


class _Streamed:
    """A stream whose body has come."""

    def __init__(self, answer: Answer) -> None:
        self.status, self.headers, self._body = answer
        self.ok = answer.ok

    def retell(self, headers: Mapping[str, str]) -> None:
        self.headers = headers

    async def whole(self) -> Answer:
        return Answer(self.status, self.headers, self._body)


def pool_of(*servers: Server, seed: int = 0, **options: Any) -> Pool:  # noqa: ANN401 - of Pool
    """A pool of servers named a, b, c, ... on the clock of the loop."""
    named = {chr(ord("a") + n): server for n, server in enumerate(servers)}
    return Pool(cast("Any", named), clock=now, chance=Random(seed), **options)


async def ask(pool: Pool, body: bytes = b"{}", resent: Callable[[], None] = lambda: None) -> Answer:
    return await pool.post(body, {}, resent)


async def ask_all(count: int, at_once: int, ask_one: Callable[[int], Awaitable[object]]) -> float:
    """Asks so many questions, so many at once; returns the seconds."""
    began, numbers = now(), iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await ask_one(number)

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return now() - began
