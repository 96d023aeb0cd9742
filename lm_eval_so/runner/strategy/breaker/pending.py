"""Holds failures until it is known whether they mean that the server is away."""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from lm_eval_so.runner.errors import BackendError
from lm_eval_so.runner.strategy.breaker.away import LEAST_ROUND


class Verdict(Enum):
    """What a failure was."""

    OUTAGE = "the server is away"
    OWN = "the attempt's own: the server was there afterwards"
    UNKNOWN = "nothing is under way that could tell"


class _Failure(NamedTuple):
    left: int  # requests that had left when it came back
    sample: str | None
    error: BackendError
    verdict: asyncio.Future[Verdict]


class PendingFailures:
    """Failures without a verdict.

    An answer gives one to failures that came back before its request left. Of others it says
    nothing: a server that is being shut down takes nothing new, but finishes what it has.

    Args:
        in_flight: Requests on the wire now.
    """

    def __init__(self, in_flight: Callable[[], int]) -> None:
        self._in_flight = in_flight
        self._needed = LEAST_ROUND
        self._failures: list[_Failure] = []

    def add(self, left: int, sample: str | None, error: BackendError) -> asyncio.Future[Verdict]:
        """Holds a failure.

        Args:
            left: Requests that left so far.
            sample: Id of the sample, where the failure can mean that the server is away.
            error: How it failed.

        Returns:
            The verdict, once there is one.
        """
        known = self._needed if self._failures else LEAST_ROUND
        self._needed = max(known, self._in_flight())
        verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._failures.append(_Failure(left, sample, error, verdict))
        return verdict

    def outage_error(self) -> BackendError | None:
        """The latest error, if as many samples failed as were in flight at any time meanwhile.

        That is the time for which some failure has been held. Where many samples fail it may be the
        whole run, which begins with few in flight, and at its end has few again.
        """
        held = [failure for failure in self._failures if not failure.verdict.done()]
        samples = {failure.sample for failure in held} - {None}
        return held[-1].error if len(samples) >= self._needed else None

    def resolve(self, verdict: Verdict, *, before: int | None = None) -> None:
        """Gives the verdict to all, or to those that came back before a request left.

        Args:
            verdict: What they were.
            before: Number of that request.
        """
        if not self._failures:
            return
        later: list[_Failure] = []
        for failure in self._failures:
            if before is not None and failure.left >= before:
                later.append(failure)
            elif not failure.verdict.done():
                failure.verdict.set_result(verdict)
        self._failures = later
