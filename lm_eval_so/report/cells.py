"""Run directories as cells of the manifest."""

from collections.abc import Sequence
from typing import Any

from lm_eval_so.report.manifest import Cell, Counts, Dataset
from lm_eval_so.report.result_columns import STATUS
from lm_eval_so.report.rows import Rows
from lm_eval_so.report.runs import NamedRun
from lm_eval_so.runner.store.run_metadata import DatasetRecord, RunMetadata

_OK = STATUS["ok"]


def datasets_of(runs: Sequence[NamedRun]) -> tuple[list[Dataset], list[int]]:
    """The datasets, each once, and the number of that of each run."""
    numbers: dict[str, int] = {}
    found: list[Dataset] = []
    of_runs = []
    for run in runs:
        record = run.metadata.dataset
        number = numbers.setdefault(record.sha256, len(found))
        if number == len(found):
            found.append(_dataset(record))
        of_runs.append(number)
    return found, of_runs


def _dataset(record: DatasetRecord) -> Dataset:
    return Dataset(
        id=record.id,
        name=record.name,
        version=record.version,
        sha256=record.sha256,
        path=record.path,
        sample_count=record.sample_count,
    )


def counts_of(number: int, run: NamedRun, rows: Rows) -> tuple[Counts, int]:
    """Results of a run by status, counted from its lines, and how many there are when complete.

    Args:
        number: Of the run.
        run: The run.
        rows: Of the page, or of all that it is a sample of.
    """
    status = run.index.columns["status"]
    ok = settled = 0
    for slot, places in zip(rows.slots, rows.places, strict=True):
        if slot.cell == number:
            found = [status[place - 1] for place in places if place]
            settled += len(found)
            ok += found.count(_OK)
    asked = max(_asked(run.metadata), settled)
    return Counts(ok=ok, failed=settled - ok, owed=asked - settled), asked


def _asked(metadata: RunMetadata) -> int:
    """Samples answered before that the last command did not select are asked, too."""
    return metadata.asked if metadata.summary is None else metadata.summary.total


def cell_of(run: NamedRun, dataset: int, counts: Counts, asked: int) -> Cell:
    """The cell of a run.

    Args:
        run: The run.
        dataset: Number of its dataset.
        counts: Of its results.
        asked: Results when it is complete.
    """
    metadata = run.metadata
    told: dict[str, Any] = metadata.model_dump(mode="json")
    history = told["concurrency_history"]
    return Cell(
        name=run.name,
        settings=dict(run.settings),
        dataset=dataset,
        run_dir=str(run.index.run_dir),
        state=metadata.state,
        reason=metadata.reason,
        verdict=told["verdict"],
        summary=told["summary"],
        asked=asked,
        counts=counts,
        selection=told["selection"],
        run_config=told["run_config"],
        prompt=told["prompt"],
        options=told["options"],
        identity=told["identity"],
        fingerprint=metadata.fingerprint,
        environment=told["environment"],
        engine=metadata.engine,
        concurrency_history=history and list(history),
        limits_per_minute=metadata.limits_per_minute,
        started_at=told["started_at"],
        ended_at=told["ended_at"],
        command=metadata.command,
        resume=metadata.command if counts["failed"] or counts["owed"] else None,
    )
