"""Several servers for one model, or several accounts of one server, with the shape of a Transport.

Each replica has a `Transport` of its own: its address, key, proxy and certificates. A request goes
to the replica with the least load. Who takes no connections is passed over at no charge, and who
has no room (429, 503, 529) or refuses everybody (a wrong key, a spent quota) is passed over while
another can do better. Only what none of them settles is an error of the request's. That all are
away is left to whoever waits for one server that is away.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from operator import attrgetter
from random import Random
from typing import TYPE_CHECKING, Self

from lm_eval_so.runner.backends.base import asked_replica
from lm_eval_so.runner.backends.http.affinity import Affinity
from lm_eval_so.runner.backends.http.limit_headers import HeaderLimit, PooledHeaders
from lm_eval_so.runner.backends.http.replica import Replica
from lm_eval_so.runner.backends.http.response_body import Answer
from lm_eval_so.runner.backends.http.turn import Turn
from lm_eval_so.runner.errors import (
    REFUSALS,
    APIConnectionError,
    BackendError,
    EndpointUnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from lm_eval_so.runner.backends.base import Outgoing
    from lm_eval_so.runner.backends.http.response_body import Stream
    from lm_eval_so.runner.backends.http.transport import Transport

CONNECT_S = 5.0
"""Seconds for a connection to a replica, as the OpenAI SDK gives: behind a machine that is switched
off, the system itself would wait for two minutes, and the others are there."""
_LEAST_WAIT = 0.1  # seconds
_CURIOUS = 0.9
"""Of the shortest latency: what a replica without an answer counts with, so that each is tried."""
_UNITS = ("requests", "tokens")


class Pool:
    """Sends each request to one of several transports.

    Args:
        transports: By name, as it is to be written: an address without secrets.
        prefix_of: By the body of a request, what its conversation shares with others. Equal ones
            go to the same replica; without it, the load alone decides.
        clock: Seconds; never goes back.
        chance: Decides between equals.
    """

    def __init__(
        self,
        transports: Mapping[str, Transport],
        *,
        prefix_of: Callable[[bytes], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Random | None = None,
    ) -> None:
        self._clock = clock
        self._chance = chance or Random()  # noqa: S311 - spreads requests, and is no secret
        self._replicas = [Replica(name, sends, clock) for name, sends in transports.items()]
        self._affinity = prefix_of and Affinity(self._replicas, prefix_of)
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for replica in self._replicas:
            await self._exit.enter_async_context(replica.transport)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exit.aclose()

    async def post(
        self, body: bytes, headers: Mapping[str, str], resent: Callable[[], None] = lambda: None
    ) -> Answer:
        """As that of a Transport; ``resent`` is called for another replica's try as well.

        There is no ``at``, which would be the address of one of them.
        """
        turn = self._turn(body)
        refusal: Answer | None = None
        while (replica := turn.next()) is not None:
            if refusal is not None:
                resent()
            try:
                with turn.at(replica):
                    answer = await replica.transport.post(body, headers, resent)
                    settled = turn.is_settled(answer)
            except BackendError as error:
                turn.broke(error)
                continue
            if answer.ok:
                turn.ended()
                return answer._replace(headers=self._told(answer, replica, turn))
            if turn.kept is replica:
                refusal = answer
            if settled:
                break
        if refusal is None or turn.kept is None:
            raise turn.no_connection()
        asked_replica.set(turn.kept.name)
        return refusal._replace(headers=self._told(refusal, turn.kept, turn))

    @asynccontextmanager
    async def stream(
        self, body: bytes, headers: Mapping[str, str], resent: Callable[[], None] = lambda: None
    ) -> AsyncIterator[Stream]:
        """As that of a Transport. Once a replica has begun to answer, nobody else is asked."""
        turn = self._turn(body)
        refusal: Stream | None = None
        while (replica := turn.next()) is not None:
            if refusal is not None:
                resent()
            begun = False
            try:
                with turn.at(replica):
                    async with replica.transport.stream(body, headers, resent) as stream:
                        settled = turn.is_settled(await _judged(stream))
                        if stream.ok:
                            begun = True
                            stream.retell(self._told(stream, replica, turn))
                            yield stream
            except BackendError as error:
                turn.broke(error, begun=begun)
                continue
            if begun:
                turn.ended()
                return
            if turn.kept is replica:
                refusal = stream
            if settled:
                break
        if refusal is None or turn.kept is None:
            raise turn.no_connection()
        asked_replica.set(turn.kept.name)
        refusal.retell(self._told(refusal, turn.kept, turn))
        yield refusal

    async def preview(self, body: bytes, headers: Mapping[str, str]) -> Outgoing:
        """The request that the first of the replicas would get."""
        return await self._replicas[0].transport.preview(body, headers)

    async def get(self, path: str, *, longest: int) -> Answer:
        """As that of a Transport, from the first replica that is there.

        Raises:
            BackendError: None of them is.
        """
        for replica in sorted(self._replicas, key=attrgetter("out")):
            with suppress(APIConnectionError):
                return await replica.transport.get(path, longest=longest)
        raise EndpointUnreachableError("none of the servers takes connections")

    def replica(self, name: str | None) -> Transport | None:
        """The transport of the replica with this name; None where there is none."""
        return next((one.transport for one in self._replicas if one.name == name), None)

    def _turn(self, body: bytes) -> Turn:
        def choose(candidates: Sequence[Replica]) -> Replica:
            if self._affinity and (found := self._affinity.choice(body, candidates)):
                return found
            return self._least_loaded(candidates)

        return Turn(choose, self._replicas, len(body), self._clock)

    def _least_loaded(self, candidates: Sequence[Replica]) -> Replica:
        known = [replica.latency for replica in candidates]
        unknown = _CURIOUS * min((one for one in known if one is not None), default=1.0)
        loads = [replica.load(unknown) for replica in candidates]
        least = min(loads)
        best = [one for one, load in zip(candidates, loads, strict=True) if load == least]
        return best[0] if len(best) == 1 else self._chance.choice(best)

    def _told(self, answer: Answer | Stream, replica: Replica, turn: Turn) -> PooledHeaders:
        """The answer's headers, with the limits of all replicas, and the shortest of their waits.

        A limit is one of the pool where every replica that is in has told its own.
        """
        there = [one for one in self._replicas if turn.may_answer(one)] or [replica]
        limits = {}
        for unit in _UNITS:
            known = [limit for one in there if (limit := one.limit(unit))]
            if len(known) == len(there):
                limits[unit] = HeaderLimit(*map(sum, zip(*known, strict=True)))
        wait = None
        if answer.status in REFUSALS and replica.wait:
            wait = max(_LEAST_WAIT, min(one.wait for one in there))
        return PooledHeaders(answer.headers, limits, wait)


async def _judged(stream: Stream) -> Answer:
    """What tells whether a stream is an answer: its head, or all of a refusal."""
    return Answer(stream.status, stream.headers, b"") if stream.ok else await stream.whole()
