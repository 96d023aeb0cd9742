"""One run directory and its tracker, from begin to end, whether the tracker is there or not."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from lm_eval_so.runner.errors import LmEvalError, TrackingError
from lm_eval_so.tracking.base import (
    ALL,
    Entry,
    Report,
    TrackedRun,
    metadata_of,
    refusals,
    tracker_of,
)
from lm_eval_so.tracking.live import DONE, LiveMetrics, live_metrics
from lm_eval_so.tracking.outbox import Outbox

_MOST_WAITING = 1000  # calls, while the tracker is away; of live metrics no more are kept
_PAUSES = (0.0, 1.0, 1.0)  # seconds before each of the last tries


class Follower:
    """Reads a run directory and sends what its tracker says of it, by `work` and `end` alone.

    Raises:
        LmEvalError: There is no run in the directory, or no such tracker.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        self._metadata = metadata_of(run.directory)
        self._tracker = tracker_of(run)
        self._outbox = Outbox(self._make_ready)
        self._live = LiveMetrics(run.directory, self._metadata.started_at)
        self._due = time.monotonic() + run.tracking.live_interval
        self._is_there = False
        self._outbox.put("the run", lambda: None)  # also where nothing else is to be sent
        self._owe(self._tracker.begun, self._metadata)

    def work(self, seconds: float) -> None:
        """Sends what there is, for about so long."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + self._run.tracking.live_interval
            metrics = self._live.read()
            if len(self._outbox) < _MOST_WAITING:
                self._owe(self._tracker.live, metrics, int(metrics[DONE]))
        self._outbox.flush(until=now + seconds)
        if self._tracker.samples and not self._outbox.reason:
            with suppress(TrackingError):  # told by `end`, if it is still so then
                self._tracker.samples.follow(now + seconds)

    def end(self, timeout: float, tell: Callable[[Report], object]) -> Report:
        """Sends the rest, and again and again what is missing.

        Args:
            timeout: Seconds, from the tracker's first answer.
            tell: Takes how it stands meanwhile.
        """
        with suppress(TrackingError):  # a new database takes seconds; `flush` tells of the rest
            self._tracker.probe()
        tell(self.report())
        until = time.monotonic() + timeout
        metadata = metadata_of(self._run.directory)
        if self._run.live and metadata.summary is not None:
            metrics = live_metrics(metadata.summary)
            self._owe(self._tracker.live, metrics, int(metrics[DONE]))
        self._owe(self._tracker.ended, metadata)
        if self._tracker.samples:
            self._tracker.samples.count()
        tell(self.report())
        for pause in _PAUSES:
            if self._outbox and time.monotonic() < until:
                time.sleep(pause)
                self._outbox.flush(now=True, until=until, sent=lambda: tell(self.report()))
        if self._tracker.samples and not self._outbox:
            with suppress(TrackingError):  # the report says how many are missing
                self._tracker.samples.finish(until)
        return self.report().model_copy(update={"final": True})

    def report(self) -> Report:
        """How it stands."""
        samples = self._tracker.samples.missing() if self._tracker.samples else []
        missing = (*self._outbox.missing(), *samples)
        return Report(
            directory=self._run.directory,
            tracker=self._tracker.name,
            link=self._tracker.link,
            missing=missing if self._is_there or not missing else ALL,
            reason=self._outbox.reason,
            retryable=len(self._outbox) > 0 or bool(samples),
        )

    def _make_ready(self) -> None:
        self._tracker.probe()
        if not self._is_there:
            with refusals():
                self._tracker.find_or_create(self._metadata)
            self._is_there = True

    def _owe(self, says: Callable[..., Iterable[Entry]], *values: object) -> None:
        try:
            with refusals():
                for entry in says(*values):
                    self._outbox.put(entry.what, refusals()(entry.send))
        except LmEvalError as refusal:
            self._outbox.put(f"what {says.__name__} says", partial(_refuse, refusal))


def _refuse(refusal: LmEvalError) -> None:
    raise refusal
