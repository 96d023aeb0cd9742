"""What MLflow is told of a pipeline: at once, or when it is back."""

from __future__ import annotations

import asyncio
import threading
import traceback
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.errors import TrackingError, TrackingUnreachableError
from lm_eval_so.runner.run.exit_code import by_signal
from lm_eval_so.tracking.client import PARENT_TAG, now_ms
from lm_eval_so.tracking.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lm_eval_so.pipeline.step import Step
    from lm_eval_so.tracking.base import Status
    from lm_eval_so.tracking.client import TrackingClient

_PATIENCE = 10.0  # seconds that a server may be away in the middle of a pipeline


class Runs:
    """MLflow's runs of the steps of one pipeline. May be used by several threads.

    Args:
        client: MLflow.
        experiment: Name of the experiment.
        patient: Whether calls wait for an MLflow that is away; else they raise.
    """

    def __init__(self, client: TrackingClient, experiment: str, *, patient: bool) -> None:
        self._client = client
        self.experiment_id = ""
        self._experiment = experiment
        self._outbox = Outbox(client.probe) if patient else None
        self._lock = threading.Lock()
        self._is_there = True
        self._begun: list[Step] = []

    def begin(self, step: Step, tags: Mapping[str, Any]) -> None:
        """The step has a run from now on; raises as `call`."""
        started_at = now_ms()
        self._begun.append(step)
        try:
            self.call(f"the run of {step.name}", lambda: self._create(step, tags, started_at))
        except TrackingError:
            self._begun.remove(step)
            raise

    def end(self, step: Step, error: BaseException | None) -> None:
        """The step's run is over; raises as `call`, unless ``error`` left it, which gets a note."""
        status, ended_at, client = _status_after(error), now_ms(), self._client
        calls = {"end": lambda: client.end(step.run_id, status, ended_at=ended_at)}
        if error is not None and status != "FINISHED":
            line = "".join(traceback.format_exception_only(error)).strip()
            whole = "".join(traceback.format_exception(error))
            calls["error"] = lambda: client.tags(step.run_id, {"error": line})
            calls["traceback"] = lambda: client.text(step.run_id, whole, "traceback.txt")
        for what, call in calls.items():
            try:
                self.call(f"the {what} of {step.name}", call)
            except TrackingError as refusal:
                if error is None:
                    raise
                error.add_note(f"the {what} of {step.name!r} is not in MLflow: {refusal}")
        step.is_ended = True

    def finish(self, root: Step, error: BaseException | None) -> str:
        """The pipeline is over: ends what an interruption has left open, and raises as `end`.

        Returns:
            What MLflow lacks, in a few words.
        """
        self.end(root, error)
        for step in self._begun:  # Ctrl-C came while it began or ended
            if not step.is_ended:
                self.end(step, error or asyncio.CancelledError())
        if self._outbox is None:
            return ""
        with self._lock:
            self._outbox.flush(now=True)
            missing, reason = self._outbox.missing(), self._outbox.reason
        return ", ".join(missing) + (f" ({reason})" if reason else "")

    def call(self, what: str, call: Callable[[], object]) -> None:
        """Tells MLflow.

        Raises:
            TrackingUnreachableError: It is away, and that is not waited for.
            TrackingError: It refuses.
        """
        if self._outbox is not None:
            with self._lock:
                self._outbox.send(what, call)
            return
        try:
            self._client.wait(_PATIENCE if self._is_there else 0)
        except TrackingUnreachableError:
            self._is_there = False  # what comes yet, such as the end, does not wait again
            raise
        self._is_there = True
        call()

    def _create(self, step: Step, tags: Mapping[str, Any], started_at: int) -> None:
        client = self._client
        self.experiment_id = self.experiment_id or client.experiment(self._experiment)
        own = {"lm_eval_so.directory": step.folder.absolute(), **tags}
        nested = {PARENT_TAG: step.parent.run_id} if step.parent else {}
        step.run_id = client.create_run(
            self.experiment_id,
            step.name,
            {**client.context_tags(), **own, **nested},
            started_at=started_at,
        )


def _status_after(error: BaseException | None) -> Status:
    """How MLflow calls the end of what raised ``error``, or nothing."""
    match error:
        case None | SystemExit(code=None | 0):
            return "FINISHED"
        case SystemExit(code=int(code)) if by_signal(code):
            return "KILLED"
        case KeyboardInterrupt() | asyncio.CancelledError() | GeneratorExit():
            return "KILLED"
    return "FAILED"
