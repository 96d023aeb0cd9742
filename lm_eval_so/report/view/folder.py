"""The runs of a folder, and how each of them stands."""

import hashlib
import os
import time
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.report.view.counts import Counts, LineCounter
from lm_eval_so.report.view.sweeps import FoundSweep, read_sweep
from lm_eval_so.report.view.walk import Walked, is_within, walk
from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.store.lock import is_held
from lm_eval_so.runner.store.metadata import METADATA, read_metadata
from lm_eval_so.runner.store.parts import PARTS
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.run_metadata import RunMetadata

_COUNTING_S = 0.5
"""Seconds that the list waits for counts of runs that have no summary yet."""

Stamp = tuple[int, int, int]


class FoundRun(NamedTuple):
    """A run directory.

    Attributes:
        id: Stands for it in addresses; the same as long as it is in its place.
        path: With all links resolved.
        shown: The path within the folder.
        metadata: None where it cannot be read.
        problem: Why, in one sentence.
        is_running: Whether a process writes to it now.
    """

    id: str
    path: Path
    shown: str
    metadata: RunMetadata | None = None
    problem: str | None = None
    is_running: bool = False

    @property
    def state(self) -> str:
        """A word for the list: that of its file, but ``stopped`` after a kill."""
        if self.metadata is None:
            return "damaged"
        state, verdict = self.metadata.state, self.metadata.verdict
        if state == "running":
            return state if self.is_running else "stopped"
        return verdict.outcome if state == "complete" and verdict else state


class Found(NamedTuple):
    """What was found, the newest first."""

    root: Path
    runs: dict[str, FoundRun]
    sweeps: dict[str, FoundSweep]
    links_out: int
    is_whole: bool

    @property
    def is_running(self) -> bool:
        """Whether some run goes on."""
        return any(run.is_running for run in self.runs.values())


class Folder:
    """Looks into a folder again and again; a file that has not changed is read once.

    Args:
        root: With all links resolved.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[Path, tuple[Stamp, FoundRun]] = {}
        self._counters: dict[Path, LineCounter] = {}

    def look(self) -> Found:
        """What is there now."""
        walked = walk(self.root)
        read = (self.run_in(path) for path in walked.runs)
        runs = sorted((run for run in read if run is not None), key=_started, reverse=True)
        here = {run.path for run in runs}
        self._known = {path: known for path, known in self._known.items() if path in here}
        self._counters = {path: one for path, one in self._counters.items() if path in here}
        return Found(
            self.root,
            {run.id: run for run in runs},
            self._sweeps(walked, runs),
            len(walked.links_out),
            walked.is_whole,
        )

    def counts_of(self, found: Found) -> dict[str, Counts | None]:
        """The samples of each run by outcome; what takes long goes on at the next call."""
        until = time.monotonic() + _COUNTING_S
        return {
            run.id: self._counts(run, may_read=time.monotonic() < until)
            for run in found.runs.values()
        }

    def _counts(self, run: FoundRun, *, may_read: bool) -> Counts | None:
        """From the summary if the run has one; None where nothing is known."""
        if run.metadata is None:
            return None
        summary = run.metadata.summary
        if summary is not None and run.metadata.state != "running":
            owed = summary.status_counts.get("owed", 0)
            return Counts(summary.settled - summary.failed, summary.failed, owed)
        if not all(is_within(run.path / name, self.root) for name in (RESULTS, PARTS)):
            return None
        counter = self._counters.setdefault(run.path, LineCounter(run.path))
        return counter.look(run.metadata.asked, may_read=may_read)

    def run_in(self, path: Path) -> FoundRun | None:
        """The run in a directory that was found before; None where it is gone."""
        stamp = stamp_of(path / METADATA)
        if stamp is None or not is_within(path / METADATA, self.root):
            return None
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            known = self._known[path] = stamp, self._read(path)
        found = known[1]
        if found.metadata is None:
            return found if found.problem else None
        return found._replace(is_running=found.metadata.state == "running" and is_held(path))

    def _read(self, path: Path) -> FoundRun:
        name = shown_path(path, self.root)
        try:
            return FoundRun(id_of(path, self.root), path, name, read_metadata(path))
        except StoreError as error:
            return FoundRun(id_of(path, self.root), path, name, problem=str(error))

    def _sweeps(self, walked: Walked, runs: list[FoundRun]) -> dict[str, FoundSweep]:
        by_path = {run.path: run.id for run in runs}
        found = [
            read_sweep(path, id_of(path, self.root), shown_path(path, self.root), by_path)
            for path in walked.sweeps
        ]
        found.sort(key=lambda sweep: sweep.started_at, reverse=True)
        return {sweep.id: sweep for sweep in found}


def id_of(path: Path, root: Path) -> str:
    """What stands for a directory in addresses."""
    relative = os.fsencode(path.relative_to(root))
    return hashlib.sha256(relative).hexdigest()[:16]


def shown_path(path: Path, root: Path) -> str:
    """The path within the folder; the folder's own name if it is that itself."""
    relative = path.relative_to(root)
    return relative.as_posix() if relative.parts else path.name


def _started(run: FoundRun) -> str:
    return "" if run.metadata is None else run.metadata.started_at.isoformat()


def stamp_of(path: Path) -> Stamp | None:
    """The state of a file: time of its last change, size and inode; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
