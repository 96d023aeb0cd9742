"""What a run tells the process beside it, and what that answers: lines of JSON, both ways."""

from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from lm_eval_so.runner.config.schema import TrackingConfig
from lm_eval_so.runner.models import Value

Status = Literal["FINISHED", "FAILED", "KILLED"]
ALL = ("the whole run",)
"""What is missing where the tracker has nothing."""


class TrackedRun(Value):
    """A run directory to follow; it has ``run_metadata.json``.

    Attributes:
        tracking: What to track, and where to; no secret but a password in ``uri``.
        root: Output root, for what a tracker keeps there.
        sweep: Folder of the sweep that the run is a cell of.
        label: What sets it apart from the other cells; empty for a run of its own.
        private: Whether what is made is for its owner alone: a database of our own, its files.
    """

    directory: Path
    tracking: TrackingConfig
    root: Path
    sweep: Path | None = None
    label: str = ""
    private: bool = True


class End(Value):
    """A run has ended and its files are final, or all cells of a sweep have ended.

    Attributes:
        directory: Of the run or of the sweep.
        timeout: Seconds in which to send the rest, from the tracker's first answer.
        status: Of a sweep; None for a run, whose directory says it.
        uris: Where the sweep was tracked.
    """

    directory: Path
    timeout: float
    status: Status | None = None
    uris: tuple[str, ...] = ()


class Report(Value):
    """How it stands with a tracker.

    Attributes:
        tracker: Its name.
        final: Whether nothing more will be tried.
        link: Where the run can be looked at; empty where there is nothing to look at.
        missing: What the tracker lacks.
        reason: Why.
        retryable: Whether some of it may be taken later.
    """

    directory: Path
    tracker: str = "MLflow"
    final: bool = False
    link: str = ""
    missing: tuple[str, ...] = ()
    reason: str = ""
    retryable: bool = True

    @property
    def warning(self) -> str:
        """A sentence about what is missing; empty if nothing is."""
        if not self.missing:
            return ""
        reason = self.reason or "tracking.drain_timeout is over"
        way_out = "; run the same command again to send it; no model is asked again"
        lack = f"{self.tracker} lacks {', '.join(self.missing)} ({reason})"
        return f"{lack}{way_out if self.retryable else ''}"


Message = TrackedRun | End
MESSAGES: TypeAdapter[Message] = TypeAdapter(Message)
