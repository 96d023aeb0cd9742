"""A run directory, logged into a run of MLflow's."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.tracking.base import Entry
from lm_eval_so.tracking.client import TrackingClient
from lm_eval_so.tracking.names import PARAM_LENGTH, same, sanitise
from lm_eval_so.tracking.record import (
    CONFIG,
    TABLE,
    artifacts_of,
    config_yaml,
    ended_tags_of,
    metrics_of,
    params_of,
    results_table,
    tags_of,
)

RESULTS_LIMIT = 20_000_000.0
"""Bytes of results that are logged as a whole, where nothing else is said."""


class DirectoryLog:
    """What is to be logged of a run directory, by when it is known.

    Attributes:
        run_id: Of MLflow's run; set before anything is sent.
    """

    def __init__(self, client: TrackingClient, directory: Path, run_id: str = "") -> None:
        self._client = client
        self._directory = directory
        self.run_id = run_id

    def begun(self, metadata: Mapping[str, Any]) -> Iterator[Entry]:
        """What is known when a run begins."""
        client = self._client
        yield Entry("params", lambda: self._params(metadata))
        yield Entry("tags", lambda: client.tags(self.run_id, tags_of(metadata, self._directory)))
        yield Entry("dataset", lambda: client.dataset(self.run_id, metadata["dataset"]))
        yield Entry(CONFIG, lambda: client.text(self.run_id, config_yaml(metadata), CONFIG))

    def ended(self, metadata: Mapping[str, Any]) -> Iterator[Entry]:
        """What is known when it has ended."""
        yield Entry("summary", lambda: self._summary(metadata))

    def files(self, limit: float = RESULTS_LIMIT) -> Iterator[Entry]:
        """What it leaves; results of more than ``limit`` bytes stay where they are."""
        for path in artifacts_of(self._directory, limit):
            yield Entry(path.name, partial(self._file, path))
            if path.name == RESULTS:
                yield Entry(TABLE, partial(self._table, path))

    def everything(self, run_id: str, metadata: Mapping[str, Any]) -> None:
        """Logs a run that has ended."""
        self.run_id = run_id
        for entry in (*self.begun(metadata), *self.ended(metadata), *self.files()):
            entry.send()

    def _params(self, metadata: Mapping[str, Any]) -> None:
        """A param stays what it was when the run began; what has changed since becomes a tag."""
        data = self._client.run(self.run_id).data
        new, changed = {}, {}
        for key, value in params_of(metadata).items():
            ((name, text),) = sanitise({key: value}, PARAM_LENGTH, "long_params").values.items()
            tag = f"lm_eval_so.changed.{key}"
            if name not in data.params:
                new[key] = value
            elif data.params[name] != text or tag in data.tags:
                changed[tag] = text
        self._client.params(self.run_id, new)
        self._client.tags(self.run_id, changed)

    def _summary(self, metadata: Mapping[str, Any]) -> None:
        before = self._client.run(self.run_id).data.metrics
        metrics = metrics_of(metadata, before)
        new = {k: v for k, v in metrics.items() if k not in before or not same(before[k], v)}
        self._client.metrics(self.run_id, new)
        self._client.tags(self.run_id, ended_tags_of(metadata))

    def _file(self, path: Path) -> None:
        self._client.artifact(self.run_id, path)

    def _table(self, results: Path) -> None:
        self._client.table(self.run_id, results_table(results).decode(), TABLE)
