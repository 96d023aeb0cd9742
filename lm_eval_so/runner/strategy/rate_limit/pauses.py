"""Keeps the waits that a server asks for: of one request, or of everybody."""

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
_NEVER = 3650 * _DAY  # beyond this a date cannot be told


class Pauses:
    """Decides whom a Retry-After holds back.

    A 429 speaks of all requests, so that everybody pauses. Any other status speaks of its own
    request, unless most of the requests get it.

    Args:
        pace: Of everybody.
        longest: Seconds; a longer wait ends the run.
        give_up: Ends the run.
        now: The time of day.
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
        self._drought_began: float | None = None  # refused, and not answered since
        self._drought_told = False

    def sent(self) -> int:
        """A request leaves; its number."""
        return self._share.sent()

    def answered(self) -> None:
        """A request was answered."""
        self._drought_began, self._drought_told = None, False

    def failed(self, number: int, error: BackendError) -> None:
        """The request of this number failed.

        Raises:
            StoppedError: The server asks everybody to wait for longer than the run may.
        """
        if isinstance(error, RateLimitError):
            self._note_drought(error)
        asked = error.retry_after
        if not asked:
            return
        most_get_it = self._share.add(number).share > _MOST
        everybody = error.status_code == _TOO_MANY_REQUESTS or most_get_it
        if asked > self._longest:
            if not everybody:
                error.retryable = False
                return
            self._give_up(BackendUnusableError(self._too_long(asked, error.message)))
            raise StoppedError from error
        if everybody:
            if asked >= _WORTH_SAYING and asked > self._limiter.paused_s + 1:
                _LOG.warning(
                    "the server asks for a pause of %s: nothing is sent until %s (%s)",
                    _span(asked),
                    self._until(asked),
                    error.message,
                )
            self._limiter.pause(asked)

    def _note_drought(self, error: BackendError) -> None:
        """Says that nothing else comes, and ends the run when it has lasted for too long."""
        now = self._clock()
        self._drought_began = began = now if self._drought_began is None else self._drought_began
        if now - began >= self._longest:
            words = f"nothing but 429 for {_span(now - began)}: {error.message}"
            self._give_up(BackendUnusableError(words))
            raise StoppedError from error
        if now - began >= _WORTH_SAYING and not self._drought_told:
            self._drought_told = True
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
