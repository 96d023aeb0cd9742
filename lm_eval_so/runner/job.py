"""One composed config to its end, with everything a person sees on the way."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from lm_eval_so.runner import event_loop
from lm_eval_so.runner.cell import Ended, Place
from lm_eval_so.runner.config.compose import plan_from
from lm_eval_so.runner.ending import explain
from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.execute import Run
from lm_eval_so.runner.log import show_log
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import secrets_in_environment
from lm_eval_so.runner.objective import check_objective, objective_of
from lm_eval_so.runner.output import show, tell
from lm_eval_so.runner.progress.log import LogProgress
from lm_eval_so.runner.progress.table import one_line, print_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from omegaconf import DictConfig

    from lm_eval_so.runner.config.schema import RunnerOptions, RunPlan
    from lm_eval_so.runner.observer import Observer
    from lm_eval_so.runner.report import RunReport
    from lm_eval_so.tracking.feeder import Feeder
    from lm_eval_so.tracking.observer import MlflowTracking

_LOG = logging.getLogger(__name__)
_NOT_CARRIED_OUT = 2


def run_job(
    composed: DictConfig, again: str, feeder: Callable[[], Feeder], place: Place | None = None
) -> Ended:
    """Validates, runs, reports.

    Args:
        composed: What Hydra composed.
        again: The command that goes on with the run.
        feeder: Gives what speaks with MLflow, where it is needed.
        place: In a sweep; None for a run of its own.
    """
    together = place is not None and not place.alone
    try:
        plan = plan_from(composed)
        check_objective(plan.objective)
        limits = plan.limits_folder(together=together)
        observers = _observers(plan.options, together=together)
        tracking = _tracking(plan, feeder, place)
        if tracking is not None:
            observers.append(tracking)
        with (
            Run(plan, None, *observers, share_limits_in=limits) as run,
            show_log(plan.options.log_level, run.redactor, quiet=together),
        ):
            if place is not None and not together:
                _LOG.info("cell %s", _words(place))
            report = event_loop.run(run.carry_out())
            if place is None:
                print_report(report, Console())
            else:
                line = f"[{_words(place)}] {one_line(report)}"
                if plan.objective is not None:
                    line += f"; {plan.objective} = {objective_of(report, plan.objective)}"
                Console().print(line, soft_wrap=True, markup=False, highlight=False)
            if tracking is not None:
                _finish(tracking, report, alone=place is None)
            error = run.redactor.text(explain(report, None if place else again) or "") or None
            return Ended(report.exit_code, error, objective_of(report, plan.objective))
    except LmEvalError as error:
        cell = f"[{_words(place)}] " if place else ""
        sentence = Redactor(secrets_in_environment()).text(str(error))
        tell(f"{cell}error: {sentence}")
        return Ended(_NOT_CARRIED_OUT, sentence)


def _words(place: Place) -> str:
    total = "" if place.total is None else f"/{place.total}"
    return f"{place.number}{total}{' ' * bool(place.label)}{place.label}"


def _observers(options: RunnerOptions, *, together: bool) -> list[Observer]:
    mode = options.progress
    if mode == "auto":
        mode = "none" if together else "bar" if sys.stderr.isatty() else "log"
    observers: list[Observer] = [LogProgress(lines=mode == "log")]
    if mode == "bar":
        from lm_eval_so.runner.progress.bar import BarProgress  # noqa: PLC0415 - terminals only

        observers.append(BarProgress(Console(stderr=True)))
    return observers


def _tracking(
    plan: RunPlan, feeder: Callable[[], Feeder], place: Place | None
) -> MlflowTracking | None:
    if plan.tracking.kind == "none":
        return None
    from lm_eval_so.tracking.observer import tracking_of  # noqa: PLC0415 - only if asked for

    if place is None:
        return tracking_of(plan, feeder())
    return tracking_of(plan, feeder(), place.sweep, place.label)


def _finish(tracking: MlflowTracking, report: RunReport, *, alone: bool) -> None:
    tracked = tracking.finish(hurry=report.summary is None)
    if tracked is None:
        return
    if tracked.look and alone:
        show(f"mlflow    {tracked.look}")  # below the other paths
    if tracked.complaint:
        _LOG.warning(tracked.complaint)
