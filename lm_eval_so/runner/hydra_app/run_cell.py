"""One composed config to its end, with everything a person sees on the way."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from lm_eval_so.runner.config.compose import plan_from
from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.host.output import show, tell
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import secrets_in_environment
from lm_eval_so.runner.progress.ending import explain
from lm_eval_so.runner.progress.final_table import one_line, print_report
from lm_eval_so.runner.progress.log_lines import LogProgress
from lm_eval_so.runner.run import event_loop
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.run.log import show_log
from lm_eval_so.runner.run.prepare import prepare
from lm_eval_so.runner.run.run import Run
from lm_eval_so.runner.sweep.cell import CellOutcome, CellPlace
from lm_eval_so.runner.sweep.objective import check_objective, objective_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from omegaconf import DictConfig

    from lm_eval_so.runner.config.schema import RunnerOptions, RunPlan
    from lm_eval_so.runner.run.observer import Observer
    from lm_eval_so.runner.run.report import RunReport
    from lm_eval_so.tracking.process import TrackerProcess, Tracking

_LOG = logging.getLogger(__name__)


def run_cell(
    composed: DictConfig,
    resume_command: str,
    tracker: Callable[[], TrackerProcess],
    place: CellPlace | None = None,
) -> CellOutcome:
    """Validates, runs, reports.

    Args:
        composed: What Hydra composed.
        resume_command: The command that goes on with the run.
        tracker: Gives the process that follows runs, where it is needed.
        place: In a sweep; None for a run of its own.
    """
    parallel = place is not None and place.parallel
    try:
        plan = plan_from(composed)
        check_objective(plan.objective)
        limits = plan.limits_folder(parallel=parallel)
        observers = _observers(plan.options, parallel=parallel)
        tracking = _tracking(plan, tracker, place)
        if tracking is not None:
            observers.append(tracking)
        with (
            Run(prepare(plan), *observers, share_limits_in=limits) as run,
            show_log(plan.options.log_level, run.redactor, quiet=parallel),
        ):
            if place is not None and not parallel:
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
            error = (
                run.redactor.text(explain(report, None if place else resume_command) or "") or None
            )
            return CellOutcome(report.exit_code, error, objective_of(report, plan.objective))
    except LmEvalError as error:
        cell = f"[{_words(place)}] " if place else ""
        sentence = Redactor(secrets_in_environment()).text(str(error))
        tell(f"{cell}error: {sentence}")
        return CellOutcome(ExitCode.NOT_CARRIED_OUT, sentence)


def _words(place: CellPlace) -> str:
    total = "" if place.total is None else f"/{place.total}"
    return f"{place.number}{total}{' ' * bool(place.label)}{place.label}"


def _observers(options: RunnerOptions, *, parallel: bool) -> list[Observer]:
    mode = options.progress
    if mode == "auto":
        mode = "none" if parallel else "bar" if sys.stderr.isatty() else "log"
    observers: list[Observer] = [LogProgress(lines=mode == "log")]
    if mode == "bar":
        from lm_eval_so.runner.progress.bar import BarProgress

        observers.append(BarProgress(Console(stderr=True)))
    return observers


def _tracking(
    plan: RunPlan, tracker: Callable[[], TrackerProcess], place: CellPlace | None
) -> Tracking | None:
    if plan.tracking.kind == "none":
        return None
    from lm_eval_so.tracking.process import Tracking

    if place is None:
        return Tracking(plan, tracker())
    return Tracking(plan, tracker(), place.sweep, place.label)


def _finish(tracking: Tracking, report: RunReport, *, alone: bool) -> None:
    tracked = tracking.finish(hurry=report.summary is None)
    if tracked is None:
        return
    if tracked.link and alone:
        show(f"{tracked.tracker.lower():<9} {tracked.link}")  # below the other paths
    if tracked.warning:
        _LOG.warning(tracked.warning)
