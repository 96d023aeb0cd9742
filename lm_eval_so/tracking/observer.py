"""A run that is tracked: what the process beside it is told, at its begin and at its end."""

import logging
import math
import threading
from collections.abc import Callable
from pathlib import Path

from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.masking.options import secrets_in, shown
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import secrets_in_environment
from lm_eval_so.runner.run.observer import Live, NullObserver, Started
from lm_eval_so.tracking.messages import ALL, End, Report, TrackedRun
from lm_eval_so.tracking.process import DEAD, FIRST_ANSWER, GRACE, TrackerProcess

_LOG = logging.getLogger(__name__)
_LIVES = 2  # of the process, when the run ends
_SILENT = 2.0  # seconds that are waited for without a word
_HURRY = 1.0  # seconds


class Tracking(NullObserver):
    """An observer of one run, which takes nothing of its time: its files say everything.

    Args:
        plan: What is run; its ``tracking.kind`` is not none.
        process: Follows the run directory.
        sweep: Folder of the sweep that the run is a cell of.
        label: What sets it apart from the other cells.
    """

    def __init__(
        self, plan: RunPlan, process: TrackerProcess, sweep: Path | None = None, label: str = ""
    ) -> None:
        self._plan = plan
        self._process = process
        self._sweep = sweep
        self._label = label
        self._run: TrackedRun | None = None

    def started(self, started: Started, live: Callable[[], Live]) -> None:  # noqa: ARG002 - the protocol's
        """The run directory is there, and holds what a tracker is to know."""
        config = self._plan.tracking
        public = Redactor([*secrets_in(config.tags), *secrets_in_environment()]).data
        names = {"experiment": config.experiment, "run_name": config.run_name}
        self._run = TrackedRun(
            directory=started.directory.absolute(),
            tracking=config.model_copy(update=public({**names, "tags": shown(config.tags)})),
            root=self._plan.output_root.absolute(),
            sweep=self._sweep,
            label=self._label,
            private=self._plan.options.private,
        )
        self._process.send(self._run)

    def finish(self, *, hurry: bool = False) -> Report | None:
        """The files are final: waits until the tracker has what it lacks, or the time is up.

        Since all is in the files, a process that was killed meanwhile has a successor.

        Args:
            hurry: Waits for two seconds at the most: somebody wants to leave.

        Returns:
            How it stands; None where the run has not begun.

        Raises:
            KeyboardInterrupt: Ctrl-C while it waits.
        """
        if self._run is None:
            return None
        config = self._run.tracking
        bound = min(config.drain_timeout, _HURRY if hurry else math.inf)
        end = End(directory=self._run.directory, timeout=bound)
        grace, first = (_HURRY, 0.0) if hurry else (GRACE, FIRST_ANSWER)
        patience = threading.Timer(_SILENT, _say_why, [config.kind, bound])
        patience.start()
        try:
            for _ in range(_LIVES):
                report = self._process.ask(end, grace=grace, first=first)
                if report is not None:
                    return report
                self._process.send(self._run)
        finally:
            patience.cancel()
        return Report(directory=end.directory, final=True, missing=ALL, reason=DEAD)


def _say_why(kind: str, bound: float) -> None:
    _LOG.info(
        "waiting for %s, up to %g s from its first answer (a new database takes some time)",
        "MLflow" if kind == "mlflow" else kind,
        bound,
    )
