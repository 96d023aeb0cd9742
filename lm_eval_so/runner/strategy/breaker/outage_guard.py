"""Waits for a server that is away: one request probes, the others wait, no sample is charged."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from math import inf
from random import Random
from typing import Protocol

from lm_eval_so.runner.backends.base import Send
from lm_eval_so.runner.errors import REFUSALS, APITimeoutError, BackendError
from lm_eval_so.runner.models import ChatResponse, RunRequest, Wait
from lm_eval_so.runner.strategy.base import Gate
from lm_eval_so.runner.strategy.breaker.away import (
    Round,
    is_evidence,
    looks_away,
    was_refused,
)
from lm_eval_so.runner.strategy.breaker.breaker import Breaker
from lm_eval_so.runner.strategy.breaker.outage import Outage
from lm_eval_so.runner.strategy.breaker.pending import PendingFailures, Verdict
from lm_eval_so.runner.strategy.breaker.watch import Watch
from lm_eval_so.runner.strategy.retry import StoppedError

_LOG = logging.getLogger(__name__)
_NO_LIMIT, _NO_HITCH = 1.0, 0.3  # seconds without a sign of life
_SOON = (0.02, 0.1)  # seconds until a refused connection is tried again, while others are answered
_ALONE = 0.05  # seconds between refused connections while no other request is under way


class Probes(Protocol):
    """Decides when this process probes, where several ask one server."""

    async def turn(self, words: str, *, has_failed: bool) -> bool:
        """Returns when it is time to probe, or when the server is found to be back.

        Args:
            words: What the server gave, in a sentence.
            has_failed: This process got it itself, since the last call.

        Returns:
            Whether to probe.
        """

    def back(self) -> None:
        """The server answers this process."""


class _HeldBackError(StoppedError):
    """The server went away while the request waited for a slot or a limit: nothing was sent."""


class _Sending:
    """Counts the requests that the guard has let through and that have not come back."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1


class OutageGuard:
    """Stands between the retries and the slots, so that who waits for the server holds no slot.

    A failure that may mean an outage is held until its cause is known. Once a request that left
    later gets a sign of life, the failure goes to the retries. Once as many different samples
    failed in a row as requests were in flight, the server is away. Then all wait and one probes.
    Attempts that failed meanwhile are made again at no charge, each once, so that a sample that is
    itself the cause gets through its attempts in the end.

    Args:
        wait: Seconds that a server may be away.
        breaker: Ends the run.
        in_flight: Requests that hold a slot now.
        probes: Decides when to probe, and for how long, in the place of ``wait``.
        stopping: Whether the run is stopping, so that nothing is waited for.
        clock: Seconds; never goes back.
        sleep: For so many seconds.

    Attributes:
        gate: Closed during an outage to all but the probe; for below whatever a request waits for.
        watch: Knows what leaves and comes back; for below everything that waits.
    """

    def __init__(  # noqa: PLR0913 - clock and sleep are the tests'
        self,
        wait: float,
        *,
        breaker: Breaker,
        in_flight: Callable[[], int],
        probes: Probes | None = None,
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._wait = wait
        self._breaker = breaker
        self._in_flight = in_flight
        self._probes = probes
        self._stopping = stopping
        self._clock = clock
        self._sleep = sleep
        self._alive_at = -inf
        self._chance = Random()  # noqa: S311 - spreads retries, and is no secret
        self._sending = _Sending()
        self._pending = PendingFailures(in_flight)
        self._round: Round | None = None
        self._outage: Outage | None = None
        self.gate = Gate(self._check)
        self.watch = Watch(self._alive, clock)

    def hold(self, error: BackendError) -> None:
        """Others found that the server is away."""
        if self._outage is None:
            self._declare(error).has_news = False

    def resume(self) -> None:
        """Others found that the server is back."""
        if self._outage is not None:
            self._over(self._outage)

    def wrap(self, send: Send) -> Send:
        """``send``, guarded: its answer, or the failure that its sample is charged for."""

        async def guarded(request: RunRequest) -> ChatResponse:
            first = True
            try:
                while True:
                    while (outage := self._outage) is not None:
                        answer = await self._wait_out(outage, send, request, failed=not first)
                        if answer is not None:
                            return answer
                    try:
                        with self._sending:
                            return await send(request)
                    except _HeldBackError:
                        continue
                    except BackendError as error:
                        if not looks_away(error):
                            raise
                        if not await self._repeats_for_free(request, error, first=first):
                            raise
                        first = False
            finally:
                self._decide_if_idle()

        return guarded

    def _check(self, request: RunRequest) -> None:
        if self._outage is not None and request.journal is not self._outage.probing:
            raise _HeldBackError

    async def _repeats_for_free(
        self, request: RunRequest, error: BackendError, *, first: bool
    ) -> bool:
        """Waits until the attempt may be made again; returns whether it is, at no charge."""
        if self._stopping():
            return False
        free = first or was_refused(error)
        if self._outage is not None:
            return free
        if was_refused(error) and self._was_alive_lately(error):
            await self._sleep(self._chance.uniform(*_SOON))  # one server of several is away
            return True
        evidence = is_evidence(request, error, first=first)
        if evidence:
            self._round = self._round or Round(self._in_flight(), self.watch.left)
            self._round.add(request, error)
            over = self._round.is_outage(self.watch.on_the_wire)
            if over and not self._was_alive_lately(error):
                self._declare(error)
                return free
        return free and await self._hold(request, error, evidence=evidence)

    async def _hold(self, request: RunRequest, error: BackendError, *, evidence: bool) -> bool:
        """Waits for the verdict on a failure; returns whether the attempt is made again."""
        began = self._clock()
        sample = request.sample_id if evidence and not was_refused(error) else None
        pending = self._pending.add(self.watch.left, sample, error)
        self._decide_if_idle()
        verdict = await pending
        again = verdict is Verdict.OUTAGE
        if verdict is Verdict.UNKNOWN and was_refused(error):
            await self._sleep(_ALONE)
            again = True
        held = self._clock() - began
        if again:
            request.journal.wait(Wait.OUTAGE, held)
        elif error.retry_after is not None:
            error.retry_after = max(0.0, error.retry_after - held)
        return again

    def _decide_if_idle(self) -> None:
        """Gives a verdict where no request is on its way that could bring one."""
        if self._sending.count:
            return
        if (error := self._pending.outage_error()) is not None:
            self._declare(error)
        else:
            self._pending.resolve(Verdict.UNKNOWN)

    def _was_alive_lately(self, error: BackendError) -> bool:
        """Whether there was a sign of life a moment ago: then it is a limit, or a short hitch."""
        lately = _NO_LIMIT if error.status_code in REFUSALS else _NO_HITCH
        return self._clock() - self._alive_at < lately

    def _alive(self, number: int) -> None:
        """The request of this number got a sign of life."""
        self._alive_at = self._clock()
        self._round = None
        self._pending.resolve(Verdict.OWN, before=number)
        outage = self._outage
        if outage is not None and number > outage.declared:
            self._over(outage)
            if self._probes is not None:
                self._probes.back()

    def _over(self, outage: Outage) -> None:
        self._outage = None
        outage.queue.close()
        _LOG.warning("the server is back after %.1f s", self._clock() - outage.began)

    def _declare(self, error: BackendError) -> Outage:
        outage = self._outage = Outage(error, self._clock(), self._wait, self.watch.left)
        if self._wait:
            _LOG.warning("%s; trying again for up to %g s", outage.sentence(0), self._wait)
        self._round = None
        self._pending.resolve(Verdict.OUTAGE)
        return outage

    async def _wait_out(
        self, outage: Outage, send: Send, request: RunRequest, *, failed: bool
    ) -> ChatResponse | None:
        """Returns when the server is back, with the answer where this request was the probe."""
        arrived = self._clock()
        try:
            while await outage.queue.acquire(failed=failed):
                try:
                    answer = await self._probe(outage, send, request)
                finally:
                    outage.queue.release()
                if answer is not None:
                    return answer
                failed = True
        finally:
            request.journal.wait(Wait.OUTAGE, self._clock() - arrived)
        if self._breaker.open:
            raise StoppedError
        return None

    async def _probe(self, outage: Outage, send: Send, request: RunRequest) -> ChatResponse | None:
        await (self._turn(outage) if self._probes is None else self._told(outage, self._probes))
        if outage.queue.closed:
            return None
        outage.probing = request.journal
        try:
            with self._sending:
                return await send(request)
        except BackendError as error:
            if not (looks_away(error) or isinstance(error, APITimeoutError)):
                raise
            outage.note(error, self._clock(), self._wait)
            return None

    async def _turn(self, outage: Outage) -> None:
        if self._stopping():
            raise StoppedError
        if self._clock() - outage.began >= self._wait:
            await self._give_up(outage)
            raise StoppedError from outage.error
        await self._sleep(max(0.0, outage.next_probe - self._clock()))

    async def _told(self, outage: Outage, probes: Probes) -> None:
        has_news, outage.has_news = outage.has_news, False
        probe = await probes.turn(outage.sentence(0), has_failed=has_news)
        if self._stopping():
            raise StoppedError
        if not probe and not outage.queue.closed:
            self._over(outage)

    async def _give_up(self, outage: Outage) -> None:
        await self._breaker.trip(outage.error, outage.sentence(self._wait))
        self._outage = None
        outage.queue.close()
