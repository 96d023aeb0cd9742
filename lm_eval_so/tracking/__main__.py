"""Sends run directories to a tracker: ``python -m lm_eval_so.tracking DIR...``."""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lm_eval_so.runner.config.schema import TrackingConfig
from lm_eval_so.runner.errors import LmEvalError, TrackingError
from lm_eval_so.runner.host.output import show, tell
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.store.lock import DirectoryLock
from lm_eval_so.runner.store.metadata import METADATA, find_runs
from lm_eval_so.tracking.address import DATABASE
from lm_eval_so.tracking.base import TrackedRun
from lm_eval_so.tracking.follow import Follower
from lm_eval_so.tracking.worker import PRIVATE, settle

_ROOT = Path("outputs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line for each run directory; returns 0, or 2 if not all was sent, 130 on Ctrl-C."""
    try:
        return _main(arguments)
    except KeyboardInterrupt:
        tell("interrupted; run the same command again to send the rest")
        return ExitCode.INTERRUPTED


def _main(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        tracking = TrackingConfig(kind=options.kind, uri=options.uri, experiment=options.experiment)
    except LmEvalError as error:
        parser.error(str(error))
    if tracking.kind == "none":
        parser.error("--kind none sends nothing")
    settle()
    os.umask(PRIVATE)
    code = ExitCode.OK
    for given in options.directories:
        for directory in find_runs(given) or [given]:
            try:
                show(f"{directory}: {_send(directory, tracking)}")
            except LmEvalError as error:
                tell(f"{directory}: {error}")
                code = ExitCode.NOT_CARRIED_OUT
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m lm_eval_so.tracking",
        description="Sends run directories to MLflow or another tracker: runs that have ended or "
        "were killed, of any day or machine. No model is asked. A run that is sent again stays one "
        "run. Exit code: 0 if everything was sent, 2 if not.",
    )
    add = parser.add_argument
    add("directories", nargs="+", type=Path, metavar="DIR", help="run directory, or folder of some")
    uri = f"MLFLOW_TRACKING_URI, else the database {_ROOT}/{DATABASE}"
    add("--uri", help=f"address of the tracker (default for MLflow: {uri})")
    add("--experiment", metavar="NAME", help="experiment of all runs (default: the dataset's id)")
    add("--kind", default="mlflow", help="which tracker (default: mlflow)")
    return parser


def _send(directory: Path, tracking: TrackingConfig) -> str:
    """Returns where the run can be looked at.

    Raises:
        LmEvalError: It is no run directory, is in use or damaged, or not all of it was sent.
    """
    if not (directory / METADATA).exists():
        raise TrackingError(f"no run directory: there is no {METADATA} in it or below it")
    run = TrackedRun(
        directory=directory.absolute(), tracking=tracking, root=_ROOT.absolute(), live=False
    )
    with DirectoryLock(directory):
        report = Follower(run).end(math.inf, lambda _: None)
    if report.warning:
        raise TrackingError(report.warning)
    return report.link or f"sent to {report.tracker}"


if __name__ == "__main__":
    sys.exit(main())
