"""One request on its way through the replicas of a pool."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lm_eval_so.runner.backends.base import asked_replica
from lm_eval_so.runner.backends.http.error_response import from_status
from lm_eval_so.runner.errors import (
    REFUSALS,
    APIConnectionError,
    AuthenticationError,
    BackendError,
    EndpointUnreachableError,
    InternalServerError,
    MethodNotAllowedError,
    NotFoundError,
    ProxyAuthenticationError,
    ProxyError,
    QuotaExceededError,
    TLSError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lm_eval_so.runner.backends.http.replica import Replica
    from lm_eval_so.runner.backends.http.response_body import Answer

_NOT_SENT = (EndpointUnreachableError, TLSError, ProxyError, ProxyAuthenticationError)
_OF_THE_REPLICA = (
    AuthenticationError,
    QuotaExceededError,
    NotFoundError,
    MethodNotAllowedError,
)
"""Refusals of the key, the account, the model or the address: another replica has another one."""


class Turn:
    """Asks one replica after the other until one has settled the request.

    Args:
        choose: The best of some replicas for this request.
        replicas: All there are.
        size: Bytes of the request.
        clock: Seconds; never goes back.

    Attributes:
        kept: Who gave the refusal that the request gets, unless somebody answers it.
    """

    def __init__(
        self,
        choose: Callable[[Sequence[Replica]], Replica],
        replicas: Sequence[Replica],
        size: int,
        clock: Callable[[], float],
    ) -> None:
        self._choose = choose
        self._untried = list(replicas)
        self._count = len(replicas)
        self._size = size
        self._clock = clock
        self._needs_room = False
        self._suspects: list[tuple[Replica, str]] = []
        self._not_sent: list[BackendError] = []
        self.kept: Replica | None = None

    def next(self) -> Replica | None:
        """Whom to ask; None where nobody is left who could do better.

        A replica that is out and due to be probed comes first, and one that is suspected last: it
        refuses fast, and would seem to be the least loaded. Where no connection was made,
        everybody is tried; after a refusal for want of room only who has some.
        """
        untried = self._untried
        if not untried:
            return None
        replica = next((one for one in untried if one.probe_is_due), None)
        if replica is None:
            candidates = [one for one in untried if one.has_room]
            if not (candidates or self._needs_room):
                candidates = [one for one in untried if not one.out]
            if not (candidates or self.kept):
                candidates = untried
            if not candidates:
                return None
            trusted = [one for one in candidates if not one.suspicions]
            replica = self._choose(trusted or candidates)
        untried.remove(replica)
        return replica

    @contextmanager
    def at(self, replica: Replica) -> Iterator[None]:
        """While a replica is asked."""
        asked_replica.set(replica.name)
        self._replica, self._was_out = replica, replica.out
        self._marks = replica.begin(self._size)
        self._held = replica.in_flight
        self._began = self._clock()
        suspects = [suspect for suspect, _ in self._suspects]
        for suspect in suspects:
            suspect.suspicions += 1
        try:
            yield
        except asyncio.CancelledError:
            replica.failed("no answer in time")
            raise
        finally:
            replica.end()
            for suspect in suspects:
                suspect.suspicions -= 1

    def broke(self, error: BackendError, *, begun: bool = False) -> None:
        """Notes a failure of who was asked last; ``begun`` to answer.

        Raises:
            BackendError: The request may have been read, so that nobody else is asked.
        """
        if isinstance(error, _NOT_SENT) and not begun:
            self._replica.put_out(error.message)
            self._not_sent.append(error)
            return
        if isinstance(error, APIConnectionError):
            self._replica.failed(error.message)
        raise error

    def is_settled(self, answer: Answer) -> bool:
        """Whether this is what the request gets; else another replica may do better.

        Args:
            answer: Its body is needed where it is no success.
        """
        replica = self._replica
        replica.learn(answer.headers, self._marks)
        if answer.ok:
            replica.works(self._began)
            for suspect, reason in self._suspects:
                suspect.put_out(reason)
            return True
        error = from_status(*answer)
        settled = self._is_its_own(error)
        if settled or error.retryable or self.kept is None:
            self.kept = replica
        return settled

    def _is_its_own(self, error: BackendError) -> bool:
        """Whether any replica would refuse; notes what a refusal tells of the one asked."""
        replica = self._replica
        if error.status_code in REFUSALS and error.retryable:
            replica.works(self._began)
            replica.refused(self._held, error.retry_after)
            self._needs_room = True
            return False
        if isinstance(error, _OF_THE_REPLICA):
            if self._was_out:
                replica.put_out(error.message)
            self._suspects.append((replica, error.message))
            return False
        if isinstance(error, InternalServerError):
            replica.failed(error.message)
            return not self._was_out
        replica.works(self._began)
        return True

    def may_answer(self, replica: Replica) -> bool:
        """Whether it is in, and has not refused this request as it would refuse any."""
        return not replica.out and all(one is not replica for one, _ in self._suspects)

    def ended(self) -> None:
        """Notes that a good answer has been read to its end."""
        self._replica.answered(self._clock() - self._began)

    def no_connection(self) -> BackendError:
        """The failure where nobody was reached."""
        last = max(self._not_sent, key=lambda error: error.retryable)
        if not isinstance(last, EndpointUnreachableError):
            return last
        return EndpointUnreachableError(
            f"none of the {self._count} servers takes connections; one of them: {last.message}"
        )
