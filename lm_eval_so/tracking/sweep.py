"""A sweep as a run of MLflow's, in which its cells are nested."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from lm_eval_so.runner.host.output import show
from lm_eval_so.runner.run.exit_code import ExitCode, by_signal
from lm_eval_so.tracking.address import how_to_look, shown
from lm_eval_so.tracking.claim import CLAIM, Claim
from lm_eval_so.tracking.client import TrackingClient
from lm_eval_so.tracking.messages import EndSweep, Report
from lm_eval_so.tracking.process import DEAD, Feeder
from lm_eval_so.tracking.record import Status

_LOG = logging.getLogger(__name__)
RECORD = "sweep.json"
_TIMEOUT = 30.0  # seconds
_ADDED_UP = ("ok", "failed", "owed", "input_tokens", "output_tokens", "cost_usd")


def parent_run(store: TrackingClient, folder: Path, experiment_id: str) -> str:
    """The sweep's run in this experiment, made by the first of its cells; in state RUNNING."""
    tags = {"mlflow.source.name": "lm-eval-so", "lm_eval_so.sweep_dir": folder.absolute()}
    run_id, _ = store.claimed_run(folder, experiment_id, f"sweep {folder.name}", tags)
    return run_id


def end_sweep(store: TrackingClient, end: EndSweep) -> str:
    """Ends the sweep's runs with what became of the cells.

    Returns:
        How to look at it.

    Raises:
        TrackingError: As the store.
    """
    look = ""
    for run_id, run in Claim(end.directory).runs.items():
        if run["uri"] != shown(store.uri):
            continue
        if end.record is not None:
            record = orjson.loads(end.record.read_bytes())
            store.metrics(run_id, _metrics(record))
            store.tags(run_id, {"lm_eval_so.command": record["command"]})
            store.artifact(run_id, end.record)
            store.artifact(run_id, end.record.with_suffix(".csv"))
        store.end(run_id, end.status)
        look = how_to_look(store.uri, run["experiment_id"], run_id)
    return look


def tell_end(feeder: Callable[[], Feeder], folder: Path, uris: set[str], exit_code: int) -> None:
    """Has the sweep's runs ended, if it has any.

    Args:
        feeder: Gives what speaks with MLflow.
        folder: Of the sweep.
        uris: Where MLflow is, as far as it is known here; the cells have left word of the rest.
        exit_code: Of the whole sweep.
    """
    if not (folder / CLAIM).is_file():
        return
    known = {shown(uri) for uri in uris}
    left = {run["uri"] for run in Claim(folder).runs.values()} - known
    record = folder / RECORD
    report = feeder().ask(
        EndSweep(
            directory=folder.absolute(),
            uris=[*uris, *left],
            status=_status(exit_code),
            record=record.absolute() if record.is_file() else None,
            timeout=_TIMEOUT,
        )
    )
    if report is None:
        report = Report(directory=folder, missing=("the end of the sweep",), reason=DEAD)
    if report.link:
        show(f"mlflow    {report.link}")  # below the table of the cells
    if report.warning:
        _LOG.warning(report.warning)


def _metrics(record: dict[str, Any]) -> dict[str, float]:
    cells = record["cells"]
    states = Counter(f"cells.{cell['state']}" for cell in cells)
    sums = {name: [cell[name] for cell in cells if cell[name] is not None] for name in _ADDED_UP}
    return {
        "cells": len(cells),
        **states,
        **{name: sum(found) for name, found in sums.items() if found},
    }


def _status(exit_code: int) -> Status:
    if by_signal(exit_code):
        return "KILLED"
    return "FINISHED" if exit_code <= ExitCode.SAMPLES_FAILED else "FAILED"
