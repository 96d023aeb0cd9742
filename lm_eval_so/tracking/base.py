"""What a tracker is: one file, and an entry point of the group ``lm_eval_so.trackers``.

`Follower` reads the run directory, and sends what a tracker has to say of it: in order, again when
the tracker was away, and with a report of what is missing.
"""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from lm_eval_so.runner.errors import TrackingError
from lm_eval_so.runner.store.metadata import METADATA, read_metadata
from lm_eval_so.tracking.messages import TrackedRun

ENTRY_POINT_GROUP = "lm_eval_so.trackers"
_BUILT_IN = {"mlflow": ("lm_eval_so.tracking.mlflow_tracker", "MlflowTracker")}
_NEEDED = {"state", "dataset", "run_config", "options", "environment", "summary"}


class Entry(NamedTuple):
    """One thing to send.

    Attributes:
        what: A few words for a report of what is missing.
        send: Raises TrackingUnreachableError if the same call may succeed later; any other error
            is a refusal.
    """

    what: str
    send: Callable[[], object]


class LiveReading(NamedTuple):
    """How a run stands: ``step`` is the samples done, ``at`` milliseconds since 1970."""

    metrics: dict[str, float]
    step: int
    at: int


class SampleTracker(Protocol):
    """What a tracker that wants each result line gives; all times are of the monotonic clock."""

    def follow(self, until: float) -> None:
        """Reads the lines that are new, and sends them until that time."""

    def finish(self, until: float) -> None:
        """The file is final: sends the rest, until that time."""

    def count(self) -> object:
        """The file is final: finds out how many lines are to be sent yet."""

    def missing(self) -> list[str]:
        """What has not been sent, in a few words."""


class Tracker:
    """One run directory, as a service sees it. Made with a TrackedRun, in a process of its own.

    Whoever derives from it defines what it needs. Metadata is that of ``run_metadata.json``.

    Attributes:
        name: Of the service, for messages.
        link: Where the run can be looked at; empty until it is there.
        samples: Of a tracker that wants each result line.
    """

    name: str
    link: str = ""
    samples: SampleTracker | None = None

    def __init__(self, run: TrackedRun) -> None:
        """Sends nothing yet."""

    def probe(self) -> None:
        """Raises TrackingUnreachableError, soon, where the service is not there."""

    def find_or_create(self, metadata: Mapping[str, Any]) -> None:
        """The run that an earlier command began, or a new one. Without it nothing else is sent."""

    def begun(self, metadata: Mapping[str, Any]) -> Iterable[Entry]:  # noqa: ARG002 - for who needs it
        """What is known when a run begins."""
        return ()

    def live(self, reading: LiveReading) -> Iterable[Entry]:  # noqa: ARG002 - as above
        """How it stands, now and then."""
        return ()

    def ended(self, metadata: Mapping[str, Any]) -> Iterable[Entry]:  # noqa: ARG002 - as above
        """What is known when it has ended; ``state`` is still running if it was killed."""
        return ()


def tracker_of(run: TrackedRun) -> Tracker:
    """The tracker of the kind that is asked for.

    Raises:
        TrackingError: There is none, or it is no tracker.
    """
    kind, points = run.tracking.kind, entry_points(group=ENTRY_POINT_GROUP)
    if kind in _BUILT_IN:
        module, name = _BUILT_IN[kind]
        found = getattr(import_module(module), name)
    elif kind in points.names:
        found = points[kind].load()
    else:
        raise TrackingError(f"unknown tracker {kind!r}")
    if not (isinstance(found, type) and issubclass(found, Tracker)):
        raise TrackingError(f"tracker {kind!r} is {found!r}, which is no subclass of Tracker")
    return found(run)


def metadata_of(directory: Path) -> Mapping[str, Any]:
    """What ``run_metadata.json`` holds.

    Raises:
        TrackingError: It is not there, or lacks what each has.
        StoreError: It cannot be read.
    """
    metadata = read_metadata(directory)
    if metadata is None:
        raise TrackingError(f"there is no run in {directory}")
    if lacking := sorted(_NEEDED - metadata.keys()):
        raise TrackingError(f"{directory / METADATA} is damaged: it has no {', '.join(lacking)}")
    return metadata
