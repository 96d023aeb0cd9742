"""Waits for a server that is away: one request probes, the others wait, no sample is charged."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from math import inf
from random import Random

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import REFUSALS, APITimeoutError, BackendError
from lm_eval_so.runner.models import ChatResponse, RunRequest
from lm_eval_so.runner.strategy.breaker.away import (
    Round,
    is_evidence,
    is_sign_of_life,
    looks_away,
    was_refused,
)
from lm_eval_so.runner.strategy.breaker.breaker import Breaker
from lm_eval_so.runner.strategy.breaker.outage import Outage
from lm_eval_so.runner.strategy.breaker.undecided import Undecided, Verdict
from lm_eval_so.runner.strategy.retry import StoppedError

_LOG = logging.getLogger(__name__)
_NO_LIMIT, _NO_HITCH = 1.0, 0.3  # seconds without a sign of life
_SOON = (0.02, 0.1)  # seconds until a refused connection is tried again, while others are answered
_ALONE = 0.05  # seconds between refused connections where no other request can tell what they mean


class _HeldBackError(StoppedError):
    """The server was found to be away while the request waited for its slot: nothing was sent."""


class OutageGuard:
    """Between the retries and the slots, so that who waits for the server holds no slot.

    A failure that may mean an outage waits until a request that left after it gets a sign of life,
    and then goes to the retries as it is; or until as many different samples have failed one after
    the other as requests were in flight, and then the server is away. All wait, one probes, and
    attempts that failed meanwhile are made again at no charge, each once: a sample whose own fault
    it is gets through its attempts in the end.

    Args:
        wait: Seconds that a server may be away.
        breaker: Ends the run.
        in_flight: Requests on the wire now.
        stopping: Whether the run is stopping, so that nothing is waited for.
    """

    def __init__(  # noqa: PLR0913 - clock and sleep are the tests'
        self,
        wait: float,
        *,
        breaker: Breaker,
        in_flight: Callable[[], int],
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._wait = wait
        self._breaker = breaker
        self._in_flight = in_flight
        self._stopping = stopping
        self._clock = clock
        self._sleep = sleep
        self._left = self._sending = 0
        self._alive_at = -inf
        self._chance = Random()  # noqa: S311 - spreads retries, and is no secret
        self._on_the_wire: set[int] = set()  # by the order in which they left
        self._undecided = Undecided(in_flight)
        self._round: Round | None = None
        self._outage: Outage | None = None

    def wrap(self, send: Send) -> Send:
        """``send``, guarded."""

        async def guarded(request: RunRequest) -> ChatResponse:
            try:
                return await self._settled(send, request)
            finally:
                self._check_alone()

        return guarded

    def gate(self, send: Send) -> Send:
        """``send``, closed while the server is away to all but the probe: for below the slots."""

        async def gated(request: RunRequest) -> ChatResponse:
            if self._outage is not None and request.journal is not self._outage.probing:
                raise _HeldBackError
            return await send(request)

        return gated

    def watch(self, send: Send) -> Send:
        """``send``, of which the guard knows what leaves and comes back: for below all waits."""

        async def watched(request: RunRequest) -> ChatResponse:
            self._left = left = self._left + 1
            self._on_the_wire.add(left)
            try:
                response = await send(request)
            except BackendError as error:
                if is_sign_of_life(error):
                    self._alive(left)
                raise
            else:
                self._alive(left)
                return response
            finally:
                self._on_the_wire.discard(left)

        return watched

    async def _settled(self, send: Send, request: RunRequest) -> ChatResponse:
        """The answer to an attempt, or the failure that its sample is charged for."""
        first = True
        while True:
            while (outage := self._outage) is not None:
                answer = await self._wait_out(outage, send, request, failed=not first)
                if answer is not None:
                    return answer
            try:
                return await self._counted(send, request)
            except _HeldBackError:
                continue
            except BackendError as error:
                if not looks_away(error):
                    raise
                if not await self._made_again(request, error, first=first):
                    raise
                first = False

    async def _counted(self, send: Send, request: RunRequest) -> ChatResponse:
        self._sending += 1
        try:
            return await send(request)
        finally:
            self._sending -= 1

    async def _made_again(self, request: RunRequest, error: BackendError, *, first: bool) -> bool:
        """Whether the attempt is made again at no charge; returns when it may be."""
        if self._stopping():
            return False
        free = first or was_refused(error)
        if self._outage is not None:
            return free
        if was_refused(error) and self._alive_of_late(error):
            await self._sleep(self._chance.uniform(*_SOON))  # one server of several is away
            return True
        evidence = is_evidence(request, error, first=first)
        if evidence:
            self._round = self._round or Round(self._in_flight(), self._left)
            self._round.add(request, error)
            if self._round.is_outage(self._on_the_wire) and not self._alive_of_late(error):
                self._declare(error)
                return free
        return free and await self._held(request, error, evidence=evidence)

    async def _held(self, request: RunRequest, error: BackendError, *, evidence: bool) -> bool:
        """Waits until it is known what a failure was; returns whether the server is away."""
        began = self._clock()
        sample = request.sample_id if evidence and not was_refused(error) else None
        known = self._undecided.add(self._left, sample, error)
        self._check_alone()
        verdict = await known
        again = verdict is Verdict.OUTAGE
        if verdict is Verdict.UNKNOWN and was_refused(error):
            await self._sleep(_ALONE)
            again = True
        held = self._clock() - began
        if again:
            request.journal.wait("outage", held)
        elif error.retry_after is not None:
            error.retry_after = max(0.0, error.retry_after - held)
        return again

    def _check_alone(self) -> None:
        """Without a request on its way nothing more would be known."""
        if self._sending:
            return
        if (error := self._undecided.outage()) is not None:
            self._declare(error)
        else:
            self._undecided.alone()

    def _alive_of_late(self, error: BackendError) -> bool:
        """Whether it answered a moment ago: 503s are then of a limit, others of a short hitch."""
        of_late = _NO_LIMIT if error.status_code in REFUSALS else _NO_HITCH
        return self._clock() - self._alive_at < of_late

    def _alive(self, left: int) -> None:
        self._alive_at = self._clock()
        self._round = None
        self._undecided.alive(left)
        outage = self._outage
        if outage is not None and left > outage.declared:
            self._outage = None
            outage.queue.end()
            _LOG.warning("the server is back after %.1f s", self._clock() - outage.began)

    def _declare(self, error: BackendError) -> None:
        outage = self._outage = Outage(error, self._clock(), self._wait, self._left)
        if self._wait:
            _LOG.warning("%s; trying again for up to %g s", outage.sentence(0), self._wait)
        self._round = None
        self._undecided.away()

    async def _wait_out(
        self, outage: Outage, send: Send, request: RunRequest, *, failed: bool
    ) -> ChatResponse | None:
        """Returns when the server is back; the answer, if it was this request that found out."""
        arrived = self._clock()
        try:
            while await outage.queue.turn(failed=failed):
                try:
                    answer = await self._probe(outage, send, request)
                finally:
                    outage.queue.pass_on()
                if answer is not None:
                    return answer
                failed = True
        finally:
            request.journal.wait("outage", self._clock() - arrived)
        if self._breaker.open:
            raise StoppedError
        return None

    async def _probe(self, outage: Outage, send: Send, request: RunRequest) -> ChatResponse | None:
        if self._stopping():
            raise StoppedError
        if self._clock() - outage.began >= self._wait:
            await self._give_up(outage)
            raise StoppedError from outage.error
        await self._sleep(max(0.0, outage.next_probe - self._clock()))
        if outage.queue.over:
            return None
        outage.probing = request.journal
        try:
            return await self._counted(send, request)
        except BackendError as error:
            if not (looks_away(error) or isinstance(error, APITimeoutError)):
                raise
            outage.goes_on(error, self._clock(), self._wait)
            return None

    async def _give_up(self, outage: Outage) -> None:
        await self._breaker.trip(outage.error, outage.sentence(self._wait))
        self._outage = None
        outage.queue.end()
