"""A run directory, logged into a run of MLflow's."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from lm_eval_so.runner.errors import TrackingError
from lm_eval_so.runner.store.metadata import read_metadata
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.run_metadata import RunMetadata
from lm_eval_so.tracking.client import TrackingClient
from lm_eval_so.tracking.names import PARAM_LENGTH, fit, same
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


class Entry(NamedTuple):
    """One thing to be logged; ``log`` takes the id of MLflow's run."""

    what: str
    log: Callable[[str], object]


def log_directory(store: TrackingClient, directory: Path) -> Callable[[str], None]:
    """What logs a finished run directory as a whole, given the id of MLflow's run.

    Raises:
        TrackingError: There is no run in the directory.
        StoreError: Its files are damaged, or a newer release wrote them.
    """
    metadata = read_metadata(directory)
    if metadata is None:
        raise TrackingError(f"there is no run in {directory}")

    def log(run_id: str) -> None:
        for entry in (
            *begun(store, directory, metadata),
            *ended(store, metadata),
            *files(store, directory, RESULTS_LIMIT),
        ):
            entry.log(run_id)

    return log


def begun(store: TrackingClient, directory: Path, metadata: RunMetadata) -> Iterator[Entry]:
    """What is known when a run begins."""
    yield Entry("params", lambda run_id: _params(store, run_id, metadata))
    yield Entry("tags", lambda run_id: store.tags(run_id, tags_of(metadata, directory)))
    yield Entry("dataset", lambda run_id: store.dataset(run_id, metadata.dataset))
    yield Entry(CONFIG, lambda run_id: store.text(run_id, config_yaml(metadata), CONFIG))


def ended(store: TrackingClient, metadata: RunMetadata) -> Iterator[Entry]:
    """What is known when it has ended."""
    yield Entry("summary", lambda run_id: _summary(store, run_id, metadata))


def files(store: TrackingClient, directory: Path, limit: float) -> Iterator[Entry]:
    """What it leaves; results of more than ``limit`` bytes stay where they are."""
    for path in artifacts_of(directory, limit):
        yield Entry(path.name, lambda run_id, path=path: store.artifact(run_id, path))  # type: ignore[misc]
        if path.name == RESULTS:
            yield Entry(TABLE, lambda run_id, path=path: _table(store, run_id, path))  # type: ignore[misc]


def _params(store: TrackingClient, run_id: str, metadata: RunMetadata) -> None:
    """A param stays what it was when the run began; what has changed since becomes a tag."""
    params = params_of(metadata)
    data = store.run(run_id).data
    new, changed = {}, {}
    for key, value in params.items():
        ((name, text),) = fit({key: value}, PARAM_LENGTH, "long_params").values.items()
        tag = f"lm_eval_so.changed.{key}"
        if name not in data.params:
            new[key] = value
        elif data.params[name] != text or tag in data.tags:
            changed[tag] = text
    store.params(run_id, new)
    store.tags(run_id, changed)


def _summary(store: TrackingClient, run_id: str, metadata: RunMetadata) -> None:
    before = store.run(run_id).data.metrics
    metrics = metrics_of(metadata, before)
    new = {k: v for k, v in metrics.items() if k not in before or not same(before[k], v)}
    store.metrics(run_id, new)
    store.tags(run_id, ended_tags_of(metadata))


def _table(store: TrackingClient, run_id: str, results: Path) -> None:
    with TemporaryDirectory(prefix="lm-eval-so-") as folder:
        path = Path(folder, TABLE)
        path.write_bytes(results_table(results))
        store.artifact(run_id, path)
    store.show_as_table(run_id, TABLE)
