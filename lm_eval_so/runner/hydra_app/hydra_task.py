"""What Hydra calls with each composed config: here, or in a process of a launcher."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from lm_eval_so.runner.host.output import keep_output
from lm_eval_so.runner.hydra_app.composition import register, scratch_dir, share_scratch_dir
from lm_eval_so.runner.run.exit_code import ExitCode, by_signal
from lm_eval_so.runner.sweep.cell import CellOutcome, CellPlace

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from lm_eval_so.tracking.process import TrackerProcess

_BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
_interrupted = False


class HydraTask:
    """The function that Hydra runs.

    Args:
        resume_command: The command that goes on.

    Attributes:
        labels: Of the cells of a sweep, by number; set by the sweeper.
        ended: Of the cells that ran in this process, by number; a single run is 0.
        began: Whether Hydra has composed, and what follows is ours.
        exit_code: Of the whole sweep, where its sweeper tells; the worst of ``ended`` if None.
        sweep: Folder that the cells share; the sweeper's record is in it, if it keeps one.
        uris: Where MLflow is, for all cells; set by the sweeper.
    """

    def __init__(self, resume_command: str) -> None:
        self.resume_command = resume_command
        self.labels: list[str] = []
        self.ended: dict[int, CellOutcome] = {}
        self.exit_code: int | None = None
        self.began = False
        self.sweep: Path | None = None
        self.uris: set[str] = set()
        self._tracker: TrackerProcess | None = None
        self._elsewhere = False

    def __getstate__(self) -> dict[str, Any]:
        """Leaves for a launcher's process, where the process that follows runs begins anew."""
        return {
            **self.__dict__,
            "sweep": self._sweep_folder(),
            "_tracker": None,
            "_elsewhere": True,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrives in a launcher's process, which gets Ctrl-C like all others on the terminal."""
        self.__dict__.update(state)
        keep_output()
        register()
        share_scratch_dir(str(self.sweep))
        note_signals()

    def __call__(self, composed: DictConfig) -> CellOutcome | float:
        """Runs one config.

        Returns:
            How it ended; for a sweeper that searches, the objective.

        Raises:
            KeyboardInterrupt: It was interrupted; ends a sweep in this process.
            LmEvalError: There is no objective to go on with.
        """
        from lm_eval_so.runner.hydra_app.run_cell import run_cell  # noqa: PLC0415 - not for --help

        self.began = True
        hydra = HydraConfig.get()
        place, number = None, 0
        if hydra.mode == RunMode.MULTIRUN:
            number = hydra.job.num
            place = self._cell_place(number, parallel=hydra.launcher._target_ != _BASIC_LAUNCHER)
            if _interrupted:
                return CellOutcome(ExitCode.INTERRUPTED, "interrupted")
        try:
            ended = run_cell(composed, self.resume_command, self.tracker, place)
        finally:
            if self._elsewhere:
                self.close()
        self.ended[number] = ended
        if by_signal(ended.exit_code):
            if place is None or not place.parallel:
                raise KeyboardInterrupt
            _note_interrupt()
        if composed.objective is None or self.labels:
            return ended
        return _objective(ended)

    def tracker(self) -> TrackerProcess:
        """The process that follows runs, for all cells of this process."""
        if self._tracker is None:
            from lm_eval_so.tracking.process import TrackerProcess  # noqa: PLC0415 - only if asked for

            self._tracker = TrackerProcess()
        return self._tracker

    def end_sweep(self, exit_code: int) -> None:
        """Tells MLflow, where it knows of a sweep, that all cells have ended."""
        if self.sweep is None or not (self.uris or not self.labels):
            return
        from lm_eval_so.tracking.sweep import tell_end  # noqa: PLC0415 - only if asked for

        tell_end(self.tracker, self.sweep, self.uris, exit_code)

    def close(self) -> None:
        """Ends the process that follows runs."""
        if self._tracker is not None:
            self._tracker.close()
            self._tracker = None

    @property
    def worst(self) -> int:
        """The exit code of all that was run."""
        if self.exit_code is not None:
            return self.exit_code
        return max((ended.exit_code for ended in self.ended.values()), default=0)

    def _cell_place(self, number: int, *, parallel: bool) -> CellPlace:
        label = self.labels[number] if self.labels else " ".join(HydraConfig.get().overrides.task)
        return CellPlace(
            number + 1, len(self.labels) or None, label, parallel, self._sweep_folder()
        )

    def _sweep_folder(self) -> Path:
        self.sweep = self.sweep or Path(scratch_dir())
        return self.sweep


def _objective(ended: CellOutcome) -> float:
    if ended.objective is None:
        from lm_eval_so.runner.errors import LmEvalError  # noqa: PLC0415 - not for --help

        raise LmEvalError(ended.error or "the objective has no value")
    return ended.objective


def note_signals() -> None:
    """In a launcher's process: a signal before or after a run is noted, and no cell begins then."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _note_interrupt)


def _note_interrupt(*_: object) -> None:
    global _interrupted  # noqa: PLW0603 - of this process, as the signal is
    _interrupted = True
