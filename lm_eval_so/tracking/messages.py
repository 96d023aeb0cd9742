"""What a run tells the process that speaks with MLflow, and what that one answers."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from lm_eval_so.runner.config.schema import TrackingConfig
from lm_eval_so.runner.models import Value
from lm_eval_so.tracking.record import Status

ALL = ("the whole run",)
"""What is missing where MLflow has nothing."""


class Begin(Value):
    """A run begins; its directory has ``run_metadata.json``.

    Attributes:
        uri: Where MLflow is.
        sweep: Folder of the sweep that it is a cell of.
        cell: What sets it apart from the other cells; empty for a run of its own.
        private: Whether what is made is for its owner alone: a database of our own, its files.
    """

    do: Literal["begin"] = "begin"
    directory: Path
    uri: str
    tracking: TrackingConfig
    sweep: Path | None
    cell: str = ""
    private: bool = True


class LiveMetrics(Value):
    """How the run stands; ``step`` is the samples done, ``at`` milliseconds since 1970."""

    do: Literal["live"] = "live"
    directory: Path
    metrics: dict[str, float]
    step: int
    at: int


class End(Value):
    """The run has ended, and its files are final.

    Attributes:
        timeout: Seconds in which to log the rest, from MLflow's first answer.
    """

    do: Literal["end"] = "end"
    directory: Path
    timeout: float


class EndSweep(Value):
    """All cells have ended.

    Attributes:
        directory: The sweep's folder, where its cells have left what they know of its runs.
        uris: Where MLflow is, or is for some of the cells.
        record: ``sweep.json``, where there is one; ``sweep.csv`` is beside it.
    """

    do: Literal["end_sweep"] = "end_sweep"
    directory: Path
    uris: list[str]
    status: Status
    record: Path | None
    timeout: float


class Report(Value):
    """How it stands with MLflow.

    Attributes:
        final: Whether nothing more will be tried.
        look: Where the run can be looked at; empty where MLflow has none.
        missing: What MLflow lacks.
        reason: Why.
        waits: Whether some of it may be taken later.
    """

    directory: Path
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
        way_out = "; the same again sends it, and asks the model nothing" if self.retryable else ""
        return f"MLflow lacks {', '.join(self.missing)} ({reason}){way_out}"


Message = Annotated[Begin | LiveMetrics | End | EndSweep, Field(discriminator="do")]
MESSAGES: TypeAdapter[Begin | LiveMetrics | End | EndSweep] = TypeAdapter(Message)
