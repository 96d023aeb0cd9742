"""What Hydra calls with each composed config: here, or in a process of a launcher."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.host.output import keep_output
from lm_eval_so.runner.hydra_app.command import Command
from lm_eval_so.runner.hydra_app.launch.signals import (
    begin_no_more_cells,
    heed_signals_between_cells,
    may_begin_cell,
)
from lm_eval_so.runner.hydra_app.register import register
from lm_eval_so.runner.hydra_app.scratch import scratch_dir, share_scratch_dir
from lm_eval_so.runner.run.exit_code import ExitCode, by_signal
from lm_eval_so.runner.sweep.cell import CellOutcome, CellPlace

if TYPE_CHECKING:
    from collections.abc import Callable

    from omegaconf import DictConfig

_BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


class Sweep(NamedTuple):
    """What the cells of a sweep know of it.

    Attributes:
        folder: Shared by the cells.
        labels: What sets each cell apart, by number; None if the sweeper is not ours.
    """

    folder: Path
    labels: tuple[str, ...] | None = None


class HydraTask:
    """The function that Hydra runs. Immutable; a pickled one has a `Command` of its own.

    Args:
        command: The command that it is part of.
        sweep: The sweep, where a sweeper of ours knows it.
        elsewhere: Whether this is a process of a launcher.
    """

    def __init__(
        self, command: Command, sweep: Sweep | None = None, *, elsewhere: bool = False
    ) -> None:
        self.command = command
        self._sweep = sweep
        self._elsewhere = elsewhere

    def within(self, sweep: Sweep) -> HydraTask:
        """The task for the cells of a sweep."""
        return HydraTask(self.command, sweep, elsewhere=self._elsewhere)

    def __reduce__(self) -> tuple[Callable[[str, Sweep], HydraTask], tuple[str, Sweep]]:
        """See `_in_launcher`."""
        return _in_launcher, (self.command.resume_command, self._sweep or _unknown_sweep())

    def __call__(self, composed: DictConfig) -> CellOutcome | float:
        """Runs one config.

        Returns:
            How it ended; for a searching sweeper that is not ours, the objective.

        Raises:
            KeyboardInterrupt: It was interrupted; ends a sweep in this process.
            LmEvalError: There is no objective for the sweeper.
        """
        from lm_eval_so.runner.hydra_app.run_cell import run_cell

        number, place = 0, None
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            number = HydraConfig.get().job.num
            place = self._place(number)
            if not may_begin_cell():
                return CellOutcome(ExitCode.INTERRUPTED, "interrupted")
        command = self.command
        try:
            outcome = command.run(
                number, lambda: run_cell(composed, command.resume_command, command.tracker, place)
            )
        finally:
            if self._elsewhere:
                command.close()
        if by_signal(outcome.exit_code):
            if place is None or not place.parallel:
                raise KeyboardInterrupt
            begin_no_more_cells()
        wants_outcome = place is None or composed.objective is None or self._is_ours
        return outcome if wants_outcome else _objective(outcome)

    @property
    def _is_ours(self) -> bool:
        """Whether a sweeper of ours takes the outcome; others take the objective."""
        return self._sweep is not None and self._sweep.labels is not None

    def _place(self, number: int) -> CellPlace:
        hydra = HydraConfig.get()
        folder, labels = self._sweep or _unknown_sweep()
        return CellPlace(
            number=number + 1,
            total=None if labels is None else len(labels),
            label=" ".join(hydra.overrides.task) if labels is None else labels[number],
            parallel=hydra.launcher._target_ != _BASIC_LAUNCHER,
            sweep=folder,
        )


def _unknown_sweep() -> Sweep:
    """The sweep of a sweeper that is not ours."""
    return Sweep(Path(scratch_dir()))


def _in_launcher(resume_command: str, sweep: Sweep) -> HydraTask:
    """The task as it arrives in a process of a launcher."""
    keep_output()
    register()
    share_scratch_dir(sweep.folder)
    heed_signals_between_cells()
    return HydraTask(Command(resume_command), sweep, elsewhere=True)


def _objective(outcome: CellOutcome) -> float:
    if outcome.objective is None:
        raise LmEvalError(outcome.error or "the objective has no value")
    return outcome.objective
