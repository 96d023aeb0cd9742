"""What a job of a cluster calls: one cell."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import submitit
from submitit.core.utils import UncompletedJobError

from lm_eval_so.runner.hydra_app.hydra_task import note_signals
from lm_eval_so.runner.hydra_app.launch.fleet import ended_of
from lm_eval_so.runner.run.exit_code import ExitCode, by_signal
from lm_eval_so.runner.sweep.cell import CellOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hydra.plugins.launcher import Launcher

_CHECKPOINT = signal.SIGUSR2
"""By which submitit has a job told that it will be ended: its time is up, or others go first."""


class InJob:
    """One cell in its job.

    Args:
        launcher: Hydra's own, which composes the config.
        stopped: A file that is there once no further cell is to begin.
    """

    def __init__(self, launcher: Launcher, stopped: Path) -> None:
        self._launcher: Any = launcher
        self._stopped = stopped

    def __call__(
        self, overrides: list[str], number: int, singletons: dict[type, Any]
    ) -> CellOutcome:
        """Runs the cell; what is owed when the job is to be ended is left to its next start."""
        note_signals()
        if self._stopped.exists():
            return CellOutcome(ExitCode.INTERRUPTED, "interrupted")
        with _drained_first() as requeue:
            ended = ended_of(
                self._launcher(
                    overrides, "hydra.sweep.dir", number, f"job_id_for_{number}", singletons
                )
            )
        if requeue and by_signal(ended.exit_code):
            try:
                requeue[0]()
            except UncompletedJobError as error:
                return ended._replace(error=str(error))
        return ended

    def checkpoint(self, *arguments: Any) -> submitit.helpers.DelayedSubmission:  # noqa: ANN401 - those of __call__
        """What a requeued job starts with: the same, since the run directory knows the rest."""
        return submitit.helpers.DelayedSubmission(self, *arguments)


@contextmanager
def _drained_first() -> Iterator[list[Callable[[], None]]]:
    """Has a run drained at submitit's signal; gives what submitit does then, for afterwards."""
    theirs = signal.getsignal(_CHECKPOINT)
    asked: list[Callable[[], None]] = []

    def drain(number: int, _: object) -> None:
        if callable(theirs) and not asked:
            asked.append(lambda: theirs(number, None))
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(_CHECKPOINT, drain)
    try:
        yield asked
    finally:
        signal.signal(_CHECKPOINT, theirs)
