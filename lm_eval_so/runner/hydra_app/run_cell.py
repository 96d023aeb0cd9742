"""One composed config to its end, with everything a person sees on the way."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from rich.console import Console

from lm_eval_so.runner.config.compose import plan_from
from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.host import event_loop
from lm_eval_so.runner.host.output import show, tell
from lm_eval_so.runner.hydra_app.cell_command import cell_command
from lm_eval_so.runner.hydra_app.page import tell_page
from lm_eval_so.runner.hydra_app.preview import show_requests
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import secrets_in_environment
from lm_eval_so.runner.progress.ending import explain
from lm_eval_so.runner.progress.final_table import one_line, print_report
from lm_eval_so.runner.progress.mode import progress_of
from lm_eval_so.runner.progress.observed_run import SweepPlace, observed_run
from lm_eval_so.runner.run.exit_code import ExitCode
from lm_eval_so.runner.run.log import show_log
from lm_eval_so.runner.sweep.cell import CellOutcome, CellPlace
from lm_eval_so.runner.sweep.objective import check_objective, objective_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from omegaconf import DictConfig

    from lm_eval_so.runner.config.schema import RunPlan
    from lm_eval_so.runner.progress.observed_run import ObservedRun
    from lm_eval_so.runner.run.report import RunReport
    from lm_eval_so.tracking.process import TrackerProcess

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
        resume_command: The command that resumes the run.
        tracker: Gives the process that follows runs, where it is needed.
        place: In a sweep; None for a run of its own.
    """
    try:
        plan = plan_from(composed, HydraConfig.get().runtime.choices.get("prompt"))
        check_objective(plan.objective)
        if plan.only_shows:
            return show_requests(plan, _label(place) if place else "")
        command = resume_command
        if place is not None:
            command = cell_command(command, HydraConfig.get().overrides.task)
        plan = plan.model_copy(update={"command": command})
        return _run(plan, resume_command, tracker, place)
    except LmEvalError as error:
        cell = f"[{_label(place)}] " if place else ""
        sentence = Redactor(secrets_in_environment()).text(str(error))
        tell(f"{cell}error: {sentence}")
        return CellOutcome(ExitCode.NOT_CARRIED_OUT, sentence)


def _run(
    plan: RunPlan,
    resume_command: str,
    tracker: Callable[[], TrackerProcess],
    place: CellPlace | None,
) -> CellOutcome:
    parallel = place is not None and place.parallel
    where = SweepPlace(place.sweep, place.label, parallel) if place else None
    progress = progress_of(plan.options, parallel=parallel)
    with (
        observed_run(plan, *progress, tracker=tracker, place=where) as opened,
        show_log(plan.options.log_level, opened.run.redactor, quiet=parallel),
    ):
        if place is not None and not parallel:
            _LOG.info("cell %s", _label(place))
        report = event_loop.run(opened.run.carry_out())
        objective = objective_of(report, plan.objective)
        if place is None:
            print_report(report, Console())
            if report.results_path.exists():
                tell_page(report.run_dir, auto=plan.report.auto)
        else:
            line = f"[{_label(place)}] {one_line(report)}"
            if plan.objective is not None:
                line += f"; {plan.objective} = {objective}"
            Console().print(line, soft_wrap=True, markup=False, highlight=False)
        _end_tracking(opened, report, shows_link=place is None)
        reason = explain(report, None if place else resume_command) or ""
        return CellOutcome(report.exit_code, opened.run.redactor.text(reason) or None, objective)


def _label(place: CellPlace) -> str:
    total = "" if place.total is None else f"/{place.total}"
    return f"{place.number}{total}{' ' * bool(place.label)}{place.label}"


def _end_tracking(opened: ObservedRun, report: RunReport, *, shows_link: bool) -> None:
    tracked = opened.end_tracking(report)
    if tracked is None:
        return
    if tracked.link and shows_link:
        show(f"{tracked.tracker.lower():<9} {tracked.link}")  # below the other paths
    if tracked.warning:
        _LOG.warning(tracked.warning)
