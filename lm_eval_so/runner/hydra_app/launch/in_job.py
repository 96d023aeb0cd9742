"""What a job of a cluster calls: one cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import submitit
from submitit.core.utils import UncompletedJobError

from lm_eval_so.runner.hydra_app.launch.cluster import leave_pid
from lm_eval_so.runner.hydra_app.launch.fleet import outcome_of
from lm_eval_so.runner.hydra_app.launch.signals import (
    drained_when_time_is_up,
    heed_signals_between_cells,
)
from lm_eval_so.runner.run.exit_code import ExitCode, by_signal
from lm_eval_so.runner.sweep.cell import CellOutcome

if TYPE_CHECKING:
    from pathlib import Path

    from hydra.plugins.launcher import Launcher


class InJob:
    """One cell in its job.

    Args:
        launcher: Hydra's own, which composes the config.
        stopped: A file that exists once no further cell may begin.
    """

    def __init__(self, launcher: Launcher, stopped: Path) -> None:
        self._launcher: Any = launcher
        self._stopped = stopped

    def __call__(
        self, overrides: list[str], number: int, singletons: dict[type, Any]
    ) -> CellOutcome:
        """Runs the cell; what is owed when the job must end is left to its next start."""
        heed_signals_between_cells()
        job = submitit.JobEnvironment()
        if job.cluster == "local":
            leave_pid(self._stopped.parent, job.job_id)
        if self._stopped.exists():
            return CellOutcome(ExitCode.INTERRUPTED, "interrupted")
        with drained_when_time_is_up() as requeue:
            outcome = outcome_of(
                self._launcher(
                    overrides, "hydra.sweep.dir", number, f"job_id_for_{number}", singletons
                )
            )
        if requeue and by_signal(outcome.exit_code):
            try:
                requeue[0]()
            except UncompletedJobError as error:
                return outcome._replace(error=str(error))
        return outcome

    def checkpoint(self, *arguments: Any) -> submitit.helpers.DelayedSubmission:
        """What a requeued job starts with: the same, since the run directory knows the rest."""
        return submitit.helpers.DelayedSubmission(self, *arguments)
