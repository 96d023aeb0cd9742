"""Failures of which it is not known yet whether they mean that the server is away."""

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
    left: int  # requests, when it came back
    sample: str | None
    error: BackendError
    verdict: asyncio.Future[Verdict]


class Undecided:
    """Holds failed requests until it is known what their failure was.

    What was answered tells of failures that came back before it left. Of others it tells nothing: a
    server that is being shut down takes nothing new, but finishes what it has.

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
            left: How many requests have left so far.
            sample: Id of the sample where the failure can mean that the server is away.
            error: How it failed.

        Returns:
            What will be known.
        """
        if not self._failures:
            self._needed = max(self._in_flight(), LEAST_ROUND)
        verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._failures.append(_Failure(left, sample, error, verdict))
        return verdict

    def alive(self, left: int) -> None:
        """The request that was the ``left``-th to leave got a sign of life."""
        self._tell(Verdict.OWN, before=left)

    def away(self) -> None:
        """The server is away."""
        self._tell(Verdict.OUTAGE)

    def alone(self) -> None:
        """Nothing is under way any more."""
        self._tell(Verdict.UNKNOWN)

    def outage(self) -> BackendError | None:
        """The latest error, if as many samples failed as were in flight when the first did."""
        held = [failure for failure in self._failures if not failure.verdict.done()]
        samples = {failure.sample for failure in held} - {None}
        return held[-1].error if len(samples) >= self._needed else None

    def _tell(self, verdict: Verdict, *, before: int | None = None) -> None:
        if not self._failures:
            return
        kept: list[_Failure] = []
        for failure in self._failures:
            if before is not None and failure.left >= before:
                kept.append(failure)
            elif not failure.verdict.done():
                failure.verdict.set_result(verdict)
        self._failures = kept
