"""Signs that a server is away, and signs of life.

A sign of life is an answer or any status below 500: the server read the request. A server that is
away, directly or behind a gateway, gives refused and broken connections, 5xx, and 200 with a page
instead of a completion. A timeout is neither.
"""

from collections.abc import Collection

from lm_eval_so.runner.errors import (
    APIConnectionError,
    BackendError,
    EndpointUnreachableError,
    InternalServerError,
    InvalidResponseError,
)
from lm_eval_so.runner.models import RunRequest

LEAST_ROUND = 3
"""Failures that declare an outage, at the least: one or two are often the samples' own."""
_AWAY = (APIConnectionError, InternalServerError, InvalidResponseError)
_AWAY_NAMES = {kind.__name__ for kind in _AWAY}
_SERVER_ERRORS = 500


def looks_away(error: BackendError) -> bool:
    """Whether a server that is away gives such an error, and it says nothing about the sample."""
    return isinstance(error, _AWAY) and error.retryable and not error.sample_fault


def is_sign_of_life(error: BackendError) -> bool:
    """Whether the server read the request."""
    if error.sample_fault:
        return True
    read = error.status_code is not None and error.status_code < _SERVER_ERRORS
    return read and not isinstance(error, _AWAY)


def was_refused(error: BackendError) -> bool:
    """Whether the connection was refused: nothing was sent, so no sample is the cause."""
    return isinstance(error, EndpointUnreachableError)


def describe(error: BackendError) -> str:
    """What the server gave, in a word or two."""
    if isinstance(error, InvalidResponseError):
        return "answers that are no completion"
    if isinstance(error, InternalServerError):
        return str(error.status_code or "5xx")
    return "refused connections" if was_refused(error) else "broken connections"


def is_evidence(request: RunRequest, error: BackendError, *, first: bool) -> bool:
    """Whether a failure can mean that the server is away.

    Not where the sample failed like this before, while the server was there: the sample may be the
    cause, and the last samples under way are often of this kind.

    Args:
        request: What failed.
        error: How it failed.
        first: The attempt was made only once so far.
    """
    if was_refused(error):
        return True
    before = (attempt.error_type in _AWAY_NAMES for attempt in request.journal.attempts)
    return first and not any(before)


class Round:
    """Counts failures since the last sign of life.

    Each sample counts once. Each refused connection counts half: it comes at once, while an answer
    takes its time, so that many come between two answers when one server of several is away.

    The round is over when all that was on the wire at its beginning has come back: a server without
    room refuses many while it works on others.

    Args:
        needed: Failures that make it an outage.
        began: Number of the last request that left before it began.
    """

    def __init__(self, needed: int, began: int = 0) -> None:
        self._began = began
        self._needed = max(needed, LEAST_ROUND)
        self._refused = 0
        self._samples: set[str] = set()

    def add(self, request: RunRequest, error: BackendError) -> None:
        """Counts a failure that is evidence."""
        if was_refused(error):
            self._refused += 1
        else:
            self._samples.add(request.sample_id)

    def is_outage(self, on_the_wire: Collection[int]) -> bool:
        """Whether there are enough failures, and all that left before has come back.

        Args:
            on_the_wire: Numbers of the requests that have not come back.
        """
        if self._refused / 2 + len(self._samples) < self._needed:
            return False
        return min(on_the_wire, default=self._began + 1) > self._began
