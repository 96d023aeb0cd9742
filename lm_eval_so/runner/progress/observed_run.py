"""A run with all who watch it: the same for the command line, Python and pipelines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from lm_eval_so.runner.backends.base import ChatBackend
from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.run.observer import Observer
from lm_eval_so.runner.run.prepare import prepare
from lm_eval_so.runner.run.report import RunReport
from lm_eval_so.runner.run.run import Run

if TYPE_CHECKING:
    from pathlib import Path

    from lm_eval_so.tracking.base import Report
    from lm_eval_so.tracking.process import TrackerProcess, Tracking


class SweepPlace(NamedTuple):
    """Where a run stands in a sweep, for a tracker.

    Attributes:
        folder: Of the sweep; None for a run of its own.
        label: What sets the run apart from the other cells.
        parallel: Whether other cells run at the same time, and share the provider's limits.
    """

    folder: "Path | None" = None
    label: str = ""
    parallel: bool = False


class ObservedRun(NamedTuple):
    """A run whose directory is held, and what tracks it."""

    run: Run
    tracking: "Tracking | None"

    def end_tracking(self, report: RunReport) -> "Report | None":
        """Waits, within bounds, until the tracker has everything.

        Returns:
            What it lacks, if anything, and where to look; None where nothing tracks the run.
        """
        if self.tracking is None:
            return None
        return self.tracking.finish(hurry=report.summary is None)


@contextmanager
def observed_run(
    plan: RunPlan,
    *observers: Observer,
    backend: ChatBackend | None = None,
    tracker: "Callable[[], TrackerProcess] | None" = None,
    place: SweepPlace | None = None,
) -> Iterator[ObservedRun]:
    """Prepares a run and holds its directory.

    Args:
        plan: What to run; its ``tracking`` names the tracker.
        observers: Told what happens, beside the tracker.
        backend: Answers in the place of the one that the plan names.
        tracker: Gives the process that follows runs; None for one of this run's own.
        place: In a sweep.

    Raises:
        LmEvalError: The run cannot be carried out; nothing has been sent.
    """
    place = place or SweepPlace()
    limits = plan.limits_folder(parallel=place.parallel)
    with _tracking(plan, tracker, place) as tracking:
        watching = observers if tracking is None else (*observers, tracking)
        with Run(prepare(plan, backend), *watching, share_limits_in=limits) as run:
            yield ObservedRun(run, tracking)


@contextmanager
def _tracking(
    plan: RunPlan, tracker: "Callable[[], TrackerProcess] | None", place: SweepPlace
) -> "Iterator[Tracking | None]":
    if plan.tracking.kind == "none":
        yield None
        return
    from lm_eval_so.tracking.process import (  # noqa: PLC0415 - only if asked for
        TrackerProcess,
        Tracking,
    )

    if tracker is not None:
        yield Tracking(plan, tracker(), place.folder, place.label)
        return
    process = TrackerProcess()
    try:
        yield Tracking(plan, process, place.folder, place.label)
    finally:
        process.close(wait=False)  # there may be an event loop that must not wait
