"""One command: what it runs, how that ended, and the process that tracks its runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lm_eval_so.runner.hydra_app.scratch import made_scratch_dir
from lm_eval_so.runner.run.exit_code import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from lm_eval_so.runner.config.schema import RunPlan
    from lm_eval_so.runner.sweep.cell import CellOutcome
    from lm_eval_so.tracking.process import TrackerProcess


class Command:
    """What one process does for a command; it never leaves that process.

    Args:
        resume_command: The command that resumes what is owed.

    Attributes:
        outcomes: Of the cells that ran in this process, by number; a single run is 0.
        has_composed: Whether a config was composed: errors are ours from then on, not Hydra's.
    """

    def __init__(self, resume_command: str) -> None:
        self.resume_command = resume_command
        self.outcomes: dict[int, CellOutcome] = {}
        self.has_composed = False
        self._sweep_folder: Path | None = None
        self._tracking_uris: set[str] = set()
        self._sweep_exit_code: int | None = None
        self._tracker: TrackerProcess | None = None

    def run(self, number: int, cell: Callable[[], CellOutcome]) -> CellOutcome:
        """Runs a cell in this process and keeps its outcome.

        Args:
            number: From 0.
            cell: Runs it.
        """
        self.has_composed = True
        outcome = self.outcomes[number] = cell()
        return outcome

    def begin_sweep(self, folder: Path, plans: Iterable[RunPlan]) -> None:
        """Notes, for a sweeper of ours, where the sweep is recorded and tracked."""
        self._sweep_folder = folder
        self._tracking_uris = {uri for plan in plans if (uri := _tracking_uri(plan))}

    def end_sweep(self, exit_code: int) -> None:
        """Notes how the whole sweep ended."""
        self._sweep_exit_code = exit_code

    @property
    def exit_code(self) -> int:
        """Of the sweep, if its sweeper told; else the worst of the cells of this process."""
        if self._sweep_exit_code is not None:
            return self._sweep_exit_code
        return max((cell.exit_code for cell in self.outcomes.values()), default=ExitCode.OK)

    def tracker(self) -> TrackerProcess:
        """Follows the runs of all cells of this process; started when first needed."""
        if self._tracker is None:
            from lm_eval_so.tracking.process import TrackerProcess

            self._tracker = TrackerProcess()
        return self._tracker

    def end_tracking(self, exit_code: int) -> None:
        """Ends the sweep's run in MLflow, if it has one.

        Args:
            exit_code: Of the command.
        """
        folder = self._sweep_folder
        if folder is None:
            folder = made_scratch_dir()  # a sweeper of somebody else's: its cells know MLflow
        elif not self._tracking_uris:
            return
        if folder is None:
            return
        from lm_eval_so.tracking.sweep import tell_end

        tell_end(self.tracker, folder, self._tracking_uris, exit_code)

    def close(self) -> None:
        """Ends the process that follows runs."""
        if self._tracker is not None:
            self._tracker.close()
            self._tracker = None


def _tracking_uri(plan: RunPlan) -> str | None:
    if plan.tracking.kind == "none":
        return None
    from lm_eval_so.tracking.address import tracking_uri

    return tracking_uri(plan.tracking.uri, plan.output_root)
