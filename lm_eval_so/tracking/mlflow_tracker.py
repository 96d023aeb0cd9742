"""MLflow as a tracker: one run for each run directory, over all commands."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.tracking.address import link_to, tracking_uri
from lm_eval_so.tracking.base import Entry, LiveReading, Tracker
from lm_eval_so.tracking.client import PARENT_TAG, TrackingClient
from lm_eval_so.tracking.directory import DirectoryLog
from lm_eval_so.tracking.live import Lines
from lm_eval_so.tracking.messages import TrackedRun
from lm_eval_so.tracking.names import cell_name
from lm_eval_so.tracking.record import status_of
from lm_eval_so.tracking.sweep import parent_run
from lm_eval_so.tracking.traces import Traces


class MlflowTracker(Tracker):
    """See Tracker."""

    name = "MLflow"

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        self._client = TrackingClient(tracking_uri(run.tracking.uri, run.root))
        self._log = DirectoryLog(self._client, run.directory)
        self._parent_id = ""
        self.probe = self._client.probe  # type: ignore[method-assign]

    def find_or_create(self, metadata: Mapping[str, Any]) -> None:
        run, client = self._run, self._client
        config = run.tracking
        experiment_id = client.experiment(config.experiment or metadata["dataset"]["id"])
        if run.sweep is not None:
            self._parent_id = parent_run(client, run.sweep, experiment_id)
        name = " ".join(filter(None, [config.run_name, cell_name(run.label)]))
        run_id, resumed = client.claimed_run(
            run.directory,
            experiment_id,
            name or run.directory.name,
            config.tags,
            started_at=_milliseconds(metadata["started_at"]),
        )
        if self._parent_id:
            client.tags(run_id, {PARENT_TAG: self._parent_id})
        if config.traces:
            lines = Lines(run.directory / RESULTS)
            self.samples = Traces(
                client, experiment_id, run_id, lines, config.trace_share, resumed=resumed
            )
        self._log.run_id = run_id
        self.link = link_to(client.uri, experiment_id, run_id)

    def begun(self, metadata: Mapping[str, Any]) -> Iterator[Entry]:
        return self._log.begun(metadata)

    def live(self, reading: LiveReading) -> Iterator[Entry]:
        metrics, step, at = reading
        yield Entry(
            "live metrics",
            lambda: self._client.metrics(self._log.run_id, metrics, step=step, at=at),
        )

    def ended(self, metadata: Mapping[str, Any]) -> Iterator[Entry]:
        is_killed = metadata["state"] == "running"  # and nobody is there any more
        if not is_killed:
            yield from self._log.ended(metadata)
        status, ended_at = status_of(metadata), _milliseconds(metadata["ended_at"])
        yield Entry(
            "the end", lambda: self._client.end(self._log.run_id, status, ended_at=ended_at)
        )
        if is_killed and self._parent_id:
            yield Entry("the end of the sweep", lambda: self._client.end(self._parent_id, status))
        yield from self._log.files(self._run.tracking.results_limit_mb * 1e6)


def _milliseconds(moment: str | None) -> int | None:
    return None if moment is None else int(datetime.fromisoformat(moment).timestamp() * 1000)
