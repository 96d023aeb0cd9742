"""One composed config to one exit code, with everything a person sees on the way."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from lm_eval_so.runner import event_loop
from lm_eval_so.runner.config.compose import plan_from
from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.execute import Run
from lm_eval_so.runner.log import show_log
from lm_eval_so.runner.progress.log import LogProgress
from lm_eval_so.runner.progress.table import print_report
from lm_eval_so.runner.signals import InterruptedRunError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from lm_eval_so.runner.config.schema import RunnerOptions
    from lm_eval_so.runner.observer import Observer
    from lm_eval_so.runner.report import RunReport

_LOG = logging.getLogger(__name__)
_NOT_CARRIED_OUT = 2


def run_job(composed: DictConfig, again: str) -> int:
    """Validates, runs, reports.

    Args:
        composed: What Hydra composed.
        again: The command that goes on with the run.

    Returns:
        The exit code.
    """
    try:
        plan = plan_from(composed)
        with (
            Run(plan, None, *_observers(plan.options)) as run,
            show_log(plan.options.log_level, run.redactor),
        ):
            report = event_loop.run(run.carry_out())
            print_report(report, Console())
            _explain(report, again)
            return report.exit_code
    except LmEvalError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - a person reads it
        return _NOT_CARRIED_OUT


def _observers(options: RunnerOptions) -> list[Observer]:
    mode = options.progress
    if mode == "auto":
        mode = "bar" if sys.stderr.isatty() else "log"
    observers: list[Observer] = [LogProgress(lines=mode == "log")]
    if mode == "bar":
        from lm_eval_so.runner.progress.bar import BarProgress  # noqa: PLC0415 - terminals only

        observers.append(BarProgress(Console(stderr=True)))
    return observers


def _explain(report: RunReport, again: str) -> None:
    match report.fault:
        case None:
            return
        case InterruptedRunError() as signal:
            _LOG.warning("%s; what was received is kept. Go on with: %s", signal, again)
        case LmEvalError() as error:
            _LOG.error("%s. Go on with: %s", str(error).rstrip("."), again)
        case bug:
            _LOG.error("a bug ended the run; what was received is kept", exc_info=bug)
