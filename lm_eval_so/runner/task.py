"""What Hydra calls with each composed config: here, or in a process of a launcher."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from lm_eval_so.runner.cell import Ended, Place
from lm_eval_so.runner.composition import register

if TYPE_CHECKING:
    from omegaconf import DictConfig

INTERRUPTED = 130
_BASIC_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
_interrupted = False


class Task:
    """The function that Hydra runs.

    Args:
        again: The command that goes on.

    Attributes:
        labels: Of the cells of a sweep, by number; set by the sweeper.
        ended: Of the cells that ran in this process, by number; a single run is 0.
        began: Whether Hydra has composed, and what follows is ours.
        exit_code: Of the whole sweep, where its sweeper tells; the worst of ``ended`` if None.
    """

    def __init__(self, again: str) -> None:
        self.again = again
        self.labels: list[str] = []
        self.ended: dict[int, Ended] = {}
        self.exit_code: int | None = None
        self.began = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrives in a launcher's process, which gets Ctrl-C like all others on the terminal."""
        self.__dict__.update(state)
        register()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, _note_interrupt)

    def __call__(self, composed: DictConfig) -> Ended | float:
        """Runs one config.

        Returns:
            How it ended; for a sweeper that searches, the objective.

        Raises:
            KeyboardInterrupt: It was interrupted; ends a sweep in this process.
            LmEvalError: There is no objective to go on with.
        """
        from lm_eval_so.runner.job import run_job  # noqa: PLC0415 - not for --help

        self.began = True
        hydra = HydraConfig.get()
        place, number = None, 0
        if hydra.mode == RunMode.MULTIRUN:
            number = hydra.job.num
            place = self._place(number, alone=hydra.launcher._target_ == _BASIC_LAUNCHER)
            if _interrupted:
                return Ended(INTERRUPTED, "interrupted")
        ended = run_job(composed, self.again, place)
        self.ended[number] = ended
        if ended.exit_code >= INTERRUPTED:
            if place is None or place.alone:
                raise KeyboardInterrupt
            _note_interrupt()
        if composed.objective is None or self.labels:
            return ended
        return _objective(ended)

    @property
    def worst(self) -> int:
        """The exit code of all that was run."""
        if self.exit_code is not None:
            return self.exit_code
        return max((ended.exit_code for ended in self.ended.values()), default=0)

    def _place(self, number: int, *, alone: bool) -> Place:
        label = self.labels[number] if self.labels else " ".join(HydraConfig.get().overrides.task)
        return Place(number + 1, len(self.labels) or None, label, alone)


def _objective(ended: Ended) -> float:
    if ended.objective is None:
        from lm_eval_so.runner.errors import LmEvalError  # noqa: PLC0415 - not for --help

        raise LmEvalError(ended.error or "the objective has no value")
    return ended.objective


def _note_interrupt(*_: object) -> None:
    global _interrupted  # noqa: PLW0603 - of this process, as the signal is
    _interrupted = True
