"""A run directory and its run in MLflow, from begin to end, whether MLflow is there or not."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from functools import partial

from lm_eval_so.runner.errors import LmEvalError, TrackingError, TrackingUnreachableError
from lm_eval_so.runner.store.metadata import read_metadata
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.run_metadata import RunMetadata
from lm_eval_so.tracking.address import how_to_look
from lm_eval_so.tracking.client import PARENT_TAG, TrackingClient
from lm_eval_so.tracking.directory import Entry, begun, ended, files
from lm_eval_so.tracking.messages import ALL, Begin, End, LiveMetrics, Report
from lm_eval_so.tracking.names import cell_name
from lm_eval_so.tracking.outbox import Outbox
from lm_eval_so.tracking.record import Status, status_of
from lm_eval_so.tracking.sweep import parent_run
from lm_eval_so.tracking.traces import Traces

_LIVE = "live metrics"
_MOST_WAITING = 1000  # calls, while MLflow is away; of the live metrics no more are kept
_LAST_WORDS = 10.0  # seconds, when nobody waits any more
_BREATH = 1.0  # seconds between the last tries


class TrackedRun:
    """One run directory, as MLflow sees it. Nothing is sent but by `work`, `end` and `killed`."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._directory = begin.directory
        self._config = begin.tracking
        self._store = TrackingClient(begin.uri)
        self._outbox = Outbox(self._store.probe)
        self._metadata = self._read()
        self._traces: Traces | None = None
        self._experiment_id = self._run_id = self._parent_id = self._refusal = ""
        self._outbox.put("the run", self._start)
        self._owe(begun(self._store, self._directory, self._metadata))

    def live(self, live: LiveMetrics) -> None:
        """Takes a reading."""

        def log(run_id: str) -> None:
            self._store.metrics(run_id, live.metrics, step=live.step, at=live.at)

        if len(self._outbox) < _MOST_WAITING:
            self._owe([Entry(_LIVE, log)])

    def work(self, seconds: float) -> None:
        """Logs what there is, for about so long."""
        until = time.monotonic() + seconds
        self._outbox.flush(until=until)
        if self._traces and not self._outbox.reason:
            with suppress(TrackingError):  # told by `end`, if it is still so then
                self._traces.follow(until)

    def end(self, end: End, tell: Callable[[Report], object]) -> None:
        """Logs the rest, and tells again and again what is missing."""
        with suppress(TrackingError):  # a new database takes seconds; `flush` tells of the rest
            self._store.probe()
        tell(self.report())
        until = time.monotonic() + end.timeout
        metadata = self._metadata = self._read()
        self._owe(ended(self._store, metadata))
        self._close(status_of(metadata), _milliseconds(metadata.ended_at))
        limit = self._config.results_limit_mb * 1e6
        self._owe(files(self._store, self._directory, limit))
        if self._traces:
            self._traces.count()
        tell(self.report())
        for seconds in (0.0, _BREATH, _BREATH):
            if self._outbox and time.monotonic() < until:
                time.sleep(seconds)
                self._outbox.flush(now=True, until=until, sent=lambda: tell(self.report()))
        if self._traces and not self._outbox:
            with suppress(TrackingError):  # the report says how many are missing
                self._traces.finish(until, lambda: tell(self.report()))

    def killed(self) -> None:
        """The process that carried it out is gone."""
        self._close("KILLED", None)
        if self._parent_id:
            self._outbox.put("the end", lambda: self._store.end(self._parent_id, "KILLED"))
        self._outbox.flush(now=True, until=time.monotonic() + _LAST_WORDS)

    def report(self, *, final: bool = False) -> Report:
        """How it stands."""
        traces = self._traces.missing() if self._traces else []
        missing = (*self._outbox.missing(), *traces)
        look = ""
        if self._run_id:
            look = how_to_look(self._begin.uri, self._experiment_id, self._run_id)
        elif missing:
            missing = ALL
        return Report(
            directory=self._directory,
            final=final,
            link=look,
            missing=missing,
            reason=self._outbox.reason or self._refusal,
            retryable=len(self._outbox) > 0 or bool(traces),
        )

    def _start(self) -> None:
        """Finds the run that an earlier command began, or begins one."""
        try:
            self._find_or_create()
        except TrackingUnreachableError:
            raise
        except LmEvalError as error:
            self._refusal = str(error)
            raise

    def _find_or_create(self) -> None:
        store, metadata = self._store, self._metadata
        name = self._config.experiment or metadata.dataset.id
        experiment_id = store.experiment(name)
        if self._begin.sweep is not None:
            self._parent_id = parent_run(store, self._begin.sweep, experiment_id)
        run_id, resumed = store.claimed_run(
            self._directory,
            experiment_id,
            self._name,
            self._config.tags,
            started_at=_milliseconds(metadata.started_at),
        )
        if self._parent_id:
            store.tags(run_id, {PARENT_TAG: self._parent_id})
        if self._config.traces:
            results = self._directory / RESULTS
            self._traces = Traces(
                store, experiment_id, run_id, results, self._config.trace_share, resumed=resumed
            )
        self._experiment_id, self._run_id = experiment_id, run_id

    @property
    def _name(self) -> str:
        given = " ".join(filter(None, [self._config.run_name, cell_name(self._begin.cell)]))
        return given or self._directory.name

    def _owe(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._outbox.put(entry.what, partial(self._log, entry))

    def _log(self, entry: Entry) -> None:
        if not self._run_id:
            raise TrackingError("there is no run")
        entry.log(self._run_id)

    def _close(self, status: Status, ended_at: int | None) -> None:
        self._owe(
            [Entry("the end", lambda run_id: self._store.end(run_id, status, ended_at=ended_at))]
        )

    def _read(self) -> RunMetadata:
        metadata = read_metadata(self._directory)
        if metadata is None:
            raise TrackingError(f"there is no run in {self._directory}")
        return metadata


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
