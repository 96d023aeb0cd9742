"""A sweep as a run of MLflow's, in which its cells are nested."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.host.output import show
from lm_eval_so.runner.run.exit_code import ExitCode, by_signal
from lm_eval_so.tracking.address import link_to, shown
from lm_eval_so.tracking.base import End, Report, Status
from lm_eval_so.tracking.claim import CLAIM, Claim
from lm_eval_so.tracking.client import TrackingClient
from lm_eval_so.tracking.process import DEAD, TrackerProcess

_LOG = logging.getLogger(__name__)
_RECORD, _TABLE = "sweep.json", "sweep.csv"
_LACK = ("the end of the sweep",)
_TIMEOUT = 30.0  # seconds
_ADDED_UP = (
    *("ok", "failed", "owed", "truncated", "refused", "empty"),
    *("input_tokens", "output_tokens", "cost_usd"),
)


def parent_run(client: TrackingClient, folder: Path, experiment_id: str) -> str:
    """The sweep's run in this experiment, made by the first of its cells; in state RUNNING."""
    tags = {"mlflow.source.name": "lm-eval-so", "lm_eval_so.sweep_dir": folder.absolute()}
    run_id, resumed = client.claimed_run(folder, experiment_id, f"sweep {folder.name}", tags)
    if resumed:
        client.reopen(run_id)
    return run_id


def tell_end(
    process: Callable[[], TrackerProcess], folder: Path, uris: set[str], exit_code: int
) -> None:
    """Has the sweep's runs ended, if it has any.

    Args:
        process: Gives the process that follows runs.
        folder: Of the sweep.
        uris: Where MLflow is, as far as it is known here; the cells have left word of the rest.
        exit_code: Of the whole sweep.
    """
    if not (folder / CLAIM).is_file():
        return
    left = {run["uri"] for run in Claim(folder).runs.values()} - {shown(uri) for uri in uris}
    end = End(
        directory=folder.absolute(),
        timeout=_TIMEOUT,
        status=_status(exit_code),
        uris=(*uris, *left),
    )
    report = process().ask(end) or Report(directory=folder, missing=_LACK, reason=DEAD)
    if report.link:
        show(f"mlflow    {report.link}")  # below the table of the cells
    if report.warning:
        _LOG.warning(report.warning)


def end_sweep(end: End) -> Report:
    """Ends the sweep's runs with what became of the cells, as ``sweep.json`` has it."""
    report = Report(directory=end.directory, final=True)
    for uri in end.uris:
        try:
            report = report.model_copy(update={"link": _end_at(TrackingClient(uri), end)})
        except LmEvalError as error:
            report = report.model_copy(update={"missing": _LACK, "reason": str(error)})
    return report


def _end_at(client: TrackingClient, end: End) -> str:
    """Returns how to look at it."""
    client.probe()
    link, record = "", end.directory / _RECORD
    for run_id, run in Claim(end.directory).runs.items():
        if run["uri"] != shown(client.uri):
            continue
        if record.is_file():
            content = orjson.loads(record.read_bytes())
            client.metrics(run_id, _metrics(content["cells"]))
            client.tags(run_id, {"lm_eval_so.command": content["command"]})
            for name in (_RECORD, _TABLE):
                client.artifact(run_id, end.directory / name)
        client.end(run_id, end.status or "KILLED")
        link = link_to(client.uri, run["experiment_id"], run_id)
    return link


def _metrics(cells: list[dict[str, Any]]) -> dict[str, float]:
    states = Counter(f"cells.{cell['state']}" for cell in cells)
    sums = {name: [cell[name] for cell in cells if cell[name] is not None] for name in _ADDED_UP}
    added_up = {name: sum(found) for name, found in sums.items() if found}
    return {"cells": len(cells), **states, **added_up}


def _status(exit_code: int) -> Status:
    if by_signal(exit_code):
        return "KILLED"
    return "FINISHED" if exit_code <= ExitCode.SAMPLES_FAILED else "FAILED"
