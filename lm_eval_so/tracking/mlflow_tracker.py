"""MLflow as a tracker: one run for each run directory, over all commands."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

from lm_eval_so.runner.store.parts import PARTS
from lm_eval_so.runner.store.run_metadata import RunMetadata
from lm_eval_so.runner.store.segments import results_stamp
from lm_eval_so.tracking import record
from lm_eval_so.tracking.address import link_to, tracking_uri
from lm_eval_so.tracking.base import Entry, TrackedRun, Tracker
from lm_eval_so.tracking.client import PARENT_TAG, TrackingClient, now_ms
from lm_eval_so.tracking.live import Lines
from lm_eval_so.tracking.names import PARAM_LENGTH, cell_name, same, sanitise
from lm_eval_so.tracking.sweep import parent_run
from lm_eval_so.tracking.traces import Traces


class MlflowTracker(Tracker):
    """See Tracker; a cell of a sweep is nested in the sweep's run.

    Args:
        run: What is tracked.
        run_id: MLflow's run, where it is known.
    """

    name = "MLflow"

    def __init__(self, run: TrackedRun, run_id: str = "") -> None:
        self.run = run
        self._client = TrackingClient(tracking_uri(run.tracking.uri, run.root))
        self._run_id = run_id
        self._parent_id = ""

    def probe(self) -> None:
        self._client.probe()

    def find_or_create(self, metadata: RunMetadata) -> None:
        client, directory, config = self._client, self.run.directory, self.run.tracking
        experiment_id = client.experiment(config.experiment or metadata.dataset.id)
        if self.run.sweep is not None:
            self._parent_id = parent_run(client, self.run.sweep, experiment_id)
        name = " ".join(filter(None, [config.run_name, cell_name(self.run.label)]))
        nested = {PARENT_TAG: self._parent_id} if self._parent_id else {}
        self._run_id, resumed = client.claimed_run(
            directory,
            experiment_id,
            name or directory.name,
            {**config.tags, **nested},
            started_at=_milliseconds(metadata.started_at),
        )
        if resumed and self.run.live:
            client.reopen(self._run_id)
        self.link = link_to(client.uri, experiment_id, self._run_id)
        if config.traces:
            lines = Lines(directory)
            self.samples = Traces(
                client, experiment_id, self._run_id, lines, config.trace_share, resumed=resumed
            )

    def begun(self, metadata: RunMetadata) -> Iterator[Entry]:
        client, directory, config = self._client, self.run.directory, record.CONFIG
        yield Entry("params", lambda: self._params(metadata))
        yield Entry("tags", lambda: client.tags(self._run_id, record.tags_of(metadata, directory)))
        yield Entry("dataset", lambda: client.dataset(self._run_id, metadata.dataset))
        yield Entry(config, lambda: client.text(self._run_id, record.config_yaml(metadata), config))

    def live(self, metrics: Mapping[str, float], step: int) -> Iterator[Entry]:
        log, at = self._client.metrics, now_ms()
        yield Entry("live metrics", lambda: log(self._run_id, metrics, step=step, at=at))

    def ended(self, metadata: RunMetadata) -> Iterator[Entry]:
        status = record.status_of(metadata)
        ended_at = _milliseconds(metadata.ended_at)
        if ended_at is None and (written := results_stamp(self.run.directory)) is not None:
            ended_at = written.modified_ns // 1_000_000
        is_killed = metadata.state == "running"  # and nobody is there any more
        if not is_killed:
            yield Entry("summary", lambda: self._summary(metadata))
        yield Entry("the end", lambda: self._client.end(self._run_id, status, ended_at=ended_at))
        if is_killed and self.run.sweep is not None:
            yield Entry("the end of the sweep", lambda: self._client.end(self._parent_id, status))
        yield from self._files()

    def everything(self, metadata: RunMetadata) -> None:
        """Logs a run that has ended into one of MLflow's that goes on."""
        summary = Entry("summary", lambda: self._summary(metadata))
        for entry in (*self.begun(metadata), summary, *self._files()):
            entry.send()

    def _params(self, metadata: RunMetadata) -> None:
        """A param stays what it was when the run began; what has changed since becomes a tag."""
        data = self._client.run(self._run_id).data
        new, changed = {}, {}
        for key, value in record.params_of(metadata).items():
            ((name, text),) = sanitise({key: value}, PARAM_LENGTH, "long_params").values.items()
            tag = f"lm_eval_so.changed.{key}"
            if name not in data.params:
                new[key] = value
            elif data.params[name] != text or tag in data.tags:
                changed[tag] = text
        self._client.params(self._run_id, new)
        self._client.tags(self._run_id, changed)

    def _summary(self, metadata: RunMetadata) -> None:
        before = self._client.run(self._run_id).data.metrics
        metrics = record.metrics_of(metadata, before)
        new = {k: v for k, v in metrics.items() if k not in before or not same(before[k], v)}
        self._client.metrics(self._run_id, new)
        self._client.tags(self._run_id, record.ended_tags_of(metadata))

    def _files(self) -> Iterator[Entry]:
        limit = self.run.tracking.results_limit_mb * 1e6
        paths = record.artifacts_of(self.run.directory, limit)
        for path in paths:
            yield Entry(path.name, partial(self._file, path))
        if len(paths) > 1:  # the results are among them
            yield Entry(record.TABLE, self._table)

    def _file(self, path: Path) -> None:
        folder = PARTS if path.parent.name == PARTS else None
        self._client.artifact(self._run_id, path, folder)

    def _table(self) -> None:
        text = record.results_table(self.run.directory).decode()
        self._client.table(self._run_id, text, record.TABLE)


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)
