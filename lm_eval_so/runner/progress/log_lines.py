"""Progress without a terminal: a log line every few seconds, and the first failures in full."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator

from lm_eval_so.runner.engine.base import Live
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.progress.tally import Tally
from lm_eval_so.runner.progress.units import duration, number, part_of
from lm_eval_so.runner.run.observer import Started

_LOG = logging.getLogger(__name__)
_INTERVAL = 10.0  # seconds
_FAILURES_SHOWN = 10


class LogProgress:
    """Logs the start, a line every ten seconds if ``lines``, and the first ten failures."""

    def __init__(
        self,
        *,
        lines: bool,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._lines = lines
        self._clock = clock
        self._sleep = sleep
        self._failures = 0

    def started(self, started: Started, live: Callable[[], Live]) -> None:
        """Logs the start."""
        _LOG.info("%s: %s", started.title, part_of(started.total, started.whole))
        self._live = live
        self._tally = Tally(started.total, clock=self._clock)
        self._last = self._clock()
        self._logging = asyncio.create_task(self._keep_logging())

    async def result(self, result: RunResult) -> None:
        """Counts the result, and logs a failure."""
        self._tally.add(result)
        if result.error is not None:
            self._failed(result)
        self._log_if_due()

    async def answered_before(self, read: Callable[[], RunResult]) -> None:  # noqa: ARG002 - the protocol's
        """Counts."""
        self._tally.keep()
        self._log_if_due()

    async def answered_before_many(
        self,
        count: int,
        read: Callable[[], Iterator[RunResult]],  # noqa: ARG002 - the protocol's
    ) -> None:
        """Counts."""
        self._tally.keep(count)
        self._log_if_due()

    async def counted(self, delivered: int, failed: int) -> None:
        """Counts."""
        self._tally.count(delivered, failed)
        self._log_if_due()

    def ended(self) -> None:
        """Logs how many samples were already answered."""
        self._logging.cancel()
        if self._tally.kept:
            _LOG.info("%d samples were already answered", self._tally.kept)

    def _failed(self, result: RunResult) -> None:
        self._failures += 1
        if self._failures > _FAILURES_SHOWN or result.error is None:
            return
        _LOG.warning(
            "sample %r failed after %d attempts: %s: %s",
            result.sample_id,
            result.attempts,
            result.error.error_type,
            result.error.message,
        )
        if self._failures == _FAILURES_SHOWN:
            _LOG.warning(
                "further failures are counted but not shown; the results file has them all"
            )

    async def _keep_logging(self) -> None:
        """Logs a line even if no result comes."""
        while True:
            await self._sleep(_INTERVAL)
            self._log_if_due()

    def _log_if_due(self) -> None:
        if not self._lines or self._clock() - self._last < _INTERVAL:
            return
        self._last = self._clock()
        tally, live, (results, tokens) = self._tally, self._live(), self._tally.rates()
        _LOG.info(
            "%d/%d done, %d failed, %d in flight, %s results/s, %s tokens/s, ETA %s%s%s",
            tally.done,
            tally.total,
            tally.failed,
            live.in_flight,
            number(results),
            number(tokens),
            duration(tally.remaining()),
            f", paused for {duration(live.paused_s)}" if live.paused_s else "",
            f", {retries} retried" if (retries := tally.retries(live)) else "",
        )
