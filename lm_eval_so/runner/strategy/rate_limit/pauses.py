"""Keeps each Retry-After: for one request, or for all."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from lm_eval_so.runner.errors import BackendError, BackendUnusableError, RateLimitError
from lm_eval_so.runner.strategy.rate_limit.limiter import RateLimiter
from lm_eval_so.runner.strategy.rate_limit.sent_share import SentShare
from lm_eval_so.runner.strategy.retry import StoppedError

_LOG = logging.getLogger(__name__)
_TOO_MANY_REQUESTS = 429
_MOST = 0.5  # of the requests that were sent at about the same time
_WORTH_SAYING = 10.0  # seconds
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_NEVER = 3650 * _DAY  # no date is shown beyond this


class Pauses:
    """Decides which requests a Retry-After holds back.

    A 429 is about all requests, so all pause. Any other status is about its own request, unless
    most requests get it.

    Args:
        limiter: Pauses all requests.
        longest: Seconds; a longer wait ends the run.
        give_up: Ends the run.
        now: The time of day, for messages.
        clock: Seconds; never goes back.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        longest: float,
        give_up: Callable[[BackendUnusableError], None],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limiter = limiter
        self._longest = longest
        self._give_up = give_up
        self._now = now
        self._clock = clock
        self._share = SentShare()
        self._only_429_since: float | None = None  # refused, and not answered since
        self._only_429_logged = False

    def sent(self) -> int:
        """Counts a request that leaves; returns its number."""
        return self._share.sent()

    def answered(self) -> None:
        """Notes an answer."""
        self._only_429_since, self._only_429_logged = None, False

    def failed(self, number: int, error: BackendError) -> None:
        """Notes that the request of this number failed, and pauses all where the server asks.

        Raises:
            StoppedError: The server asks all to wait for longer than the run may.
        """
        if isinstance(error, RateLimitError):
            self._note_429(error)
        asked = error.retry_after
        if not asked:
            return
        most_get_it = self._share.add(number).share > _MOST
        all_requests = error.status_code == _TOO_MANY_REQUESTS or most_get_it
        if asked > self._longest:
            if not all_requests:
                error.retryable = False
                return
            self._give_up(BackendUnusableError(self._too_long(asked, error.message)))
            raise StoppedError from error
        if all_requests:
            if asked >= _WORTH_SAYING and asked > self._limiter.paused_s + 1:
                _LOG.warning(
                    "the server asks for a pause of %s: nothing is sent until %s (%s)",
                    _span(asked),
                    self._until(asked),
                    error.message,
                )
            self._limiter.pause(asked)

    def _note_429(self, error: BackendError) -> None:
        """Warns when nothing but 429 comes, and ends the run when that lasts too long."""
        now = self._clock()
        self._only_429_since = began = now if self._only_429_since is None else self._only_429_since
        if now - began >= self._longest:
            words = f"nothing but 429 for {_span(now - began)}: {error.message}"
            self._give_up(BackendUnusableError(words))
            raise StoppedError from error
        if now - began >= _WORTH_SAYING and not self._only_429_logged:
            self._only_429_logged = True
            _LOG.warning(
                "nothing but 429 for %s: waiting longer between requests, for up to %s (%s)",
                _span(now - began),
                _span(self._longest),
                error.message,
            )

    def _too_long(self, seconds: float, words: str) -> str:
        return (
            f"the server asks to wait for {_span(seconds)}, until {self._until(seconds)}, which is "
            f"longer than runner.longest_pause ({self._longest:g} s): {words}"
        )

    def _until(self, seconds: float) -> str:
        if seconds > _NEVER:
            return "a time out of reach"
        moment = (self._now() + timedelta(seconds=seconds)).astimezone()
        return moment.strftime("%H:%M:%S" if seconds < _DAY / 2 else "%Y-%m-%d %H:%M")


def _span(seconds: float) -> str:
    for unit, length in (("days", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.3g} {unit}"
    return f"{seconds:.3g} s"
