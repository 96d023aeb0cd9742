"""What a tracker is: one class, and an entry point of the group ``lm_eval_so.trackers``."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pydantic import TypeAdapter

from lm_eval_so.runner.config.schema import TrackingConfig
from lm_eval_so.runner.errors import LmEvalError, TrackingError
from lm_eval_so.runner.models import Value
from lm_eval_so.runner.store.metadata import read_metadata
from lm_eval_so.runner.store.run_metadata import RunMetadata

Status = Literal["FINISHED", "FAILED", "KILLED"]
ALL = ("the whole run",)
"""What is missing where the tracker has nothing."""
_GROUP = "lm_eval_so.trackers"
_BUILT_IN = {"mlflow": ("lm_eval_so.tracking.mlflow_tracker", "MlflowTracker")}


class TrackedRun(Value):
    """A run directory to follow; it has ``run_metadata.json``.

    Attributes:
        tracking: What to track and where; no secret but a password in ``uri``.
        root: Output root, for what a tracker keeps there.
        sweep: Folder of the sweep that the run is a cell of.
        label: What sets it apart from the other cells; empty for a run of its own.
        private: Whether what is made is for its owner alone: a database of our own, its files.
        live: Whether a command carries the run out at this moment.
    """

    directory: Path
    tracking: TrackingConfig
    root: Path
    sweep: Path | None = None
    label: str = ""
    private: bool = True
    live: bool = True

    @property
    def tracker(self) -> str:
        """Its name, as long as it has not told its own."""
        return "MLflow" if self.tracking.kind == "mlflow" else self.tracking.kind


class End(Value):
    """A run has ended and its files are final, or all cells of a sweep have ended.

    Attributes:
        timeout: Seconds in which to send the rest, from the tracker's first answer.
        status: Of a sweep; None for a run, whose directory says it.
        uris: Where the sweep was tracked.
    """

    directory: Path
    timeout: float
    tracker: str = "MLflow"
    status: Status | None = None
    uris: tuple[str, ...] = ()


class Report(Value):
    """How it stands with a tracker: what it lacks, and why.

    Attributes:
        final: Whether nothing more will be tried.
        link: Where the run can be looked at; empty where there is nothing to look at.
        retryable: Whether some of what is missing may be taken later.
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
        lack = f"{self.tracker} lacks {', '.join(self.missing)}"
        if not self.retryable:
            return f"{lack} ({self.reason})" if self.reason else lack
        reason = self.reason or "tracking.drain_timeout is over"
        return f"{lack} ({reason}); run the same command again to send it; no model is asked again"


MESSAGES: TypeAdapter[TrackedRun | End] = TypeAdapter(TrackedRun | End)
"""What a run tells the process beside it, as lines of JSON; the answers are Reports."""


class Entry(NamedTuple):
    """One thing to send; ``what`` says in a few words what is missing without it.

    ``send`` raises TrackingUnreachableError if the same call may succeed later. Any other error is
    a refusal, which is told and holds up nothing.
    """

    what: str
    send: Callable[[], object]


class SampleTracker(Protocol):
    """Sends each result; times are of the monotonic clock."""

    def follow(self, until: float) -> None:
        """Sends the results that are new, until that time."""

    def finish(self, until: float) -> None:
        """The file is final: sends the rest, until that time."""

    def count(self) -> object:
        """The file is final: finds out what is missing."""

    def missing(self) -> list[str]:
        """What has not been sent, in a few words."""


class Tracker:
    """A service that is told of one run directory; works in a process beside the run.

    A subclass says what is to be sent. `Follower` sends it: in order, again when the service was
    away, and with a report of what is missing.

    Attributes:
        name: Of the service, for messages.
        link: Where the run can be looked at; empty until it is there.
        samples: Of a tracker that wants each result.
    """

    name = ""
    link = ""
    samples: SampleTracker | None = None

    def __init__(self, run: TrackedRun) -> None:
        self.run = run

    def probe(self) -> None:
        """Raises TrackingUnreachableError, soon, where the service is not there."""

    def find_or_create(self, metadata: RunMetadata) -> None:
        """The run that an earlier command began, or a new one. Without it nothing else is sent."""

    def begun(self, metadata: RunMetadata) -> Iterable[Entry]:  # noqa: ARG002 - for a subclass
        """What is known when a run begins."""
        return ()

    def live(self, metrics: Mapping[str, float], step: int) -> Iterable[Entry]:  # noqa: ARG002 - as above
        """How it stands, now and then; ``step`` is the samples done."""
        return ()

    def ended(self, metadata: RunMetadata) -> Iterable[Entry]:  # noqa: ARG002 - as above
        """What is known when it has ended; ``state`` is still running if it was killed."""
        return ()


@contextmanager
def refusals() -> Iterator[None]:
    """Around what a tracker does: whatever it raises is a TrackingError, which ends no process."""
    try:
        yield
    except LmEvalError:
        raise
    except Exception as error:
        raise TrackingError(f"{type(error).__name__}: {error}") from error


def tracker_of(run: TrackedRun) -> Tracker:
    """The tracker that is asked for.

    Raises:
        TrackingError: There is none of this kind, or it is no tracker.
    """
    kind, points = run.tracking.kind, entry_points(group=_GROUP)
    with refusals():
        if kind in _BUILT_IN:
            module, name = _BUILT_IN[kind]
            found = getattr(import_module(module), name)
        else:
            found = points[kind].load() if kind in points.names else None
        if not (isinstance(found, type) and issubclass(found, Tracker)):
            raise TrackingError(f"tracker {kind!r} is {found!r}, not a subclass of Tracker")
        return found(run)


def metadata_of(directory: Path) -> RunMetadata:
    """What ``run_metadata.json`` holds.

    Raises:
        TrackingError: It is not there.
        StoreError: It cannot be read.
    """
    metadata = read_metadata(directory)
    if metadata is None:
        raise TrackingError(f"there is no run in {directory}")
    return metadata
