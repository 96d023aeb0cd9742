"""A tracked run, and the process beside it that follows its directory."""

import logging
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from lm_eval_so.runner.config.schema import RunPlan
from lm_eval_so.runner.engine.base import Live
from lm_eval_so.runner.masking.options import secrets_in, shown
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.masking.values import secrets_in_environment, without_handed_on
from lm_eval_so.runner.run.observer import NullObserver, Started
from lm_eval_so.tracking.address import tracking_uri
from lm_eval_so.tracking.base import ALL, End, Report, TrackedRun

_LOG = logging.getLogger(__name__)
DEAD = "the tracking process has ended"
_LIVES = 2  # of the process, when the run ends
_SILENT = 2.0  # seconds that are waited for without a word
_HURRY = 1.0  # seconds
_GRACE = 5.0  # seconds beyond what the process was given
_FIRST_ANSWER = 120.0
"""Seconds that MLflow may take to answer at all: on a small machine that is busy, it takes a minute
to import it and to make a database."""
# -P: a script of the user's that is called mlflow.py is not MLflow.
_WORKER = [sys.executable, "-P", "-W", "ignore", "-m", "lm_eval_so.tracking.worker"]


class TrackerProcess:
    """Follows runs, one after another; starts with the first. Only `ask` and `close` wait for it.

    It has a session of its own, so that Ctrl-C is not for it; it ends with its pipe, however this
    process ends.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._latest: dict[Path, Report] = {}
        self._going_on: set[Path] = set()  # runs, as long as there was no trouble with the tracker
        self._changed = threading.Condition()

    def send(self, message: TrackedRun | End) -> None:
        """Sends a message: far less than a pipe holds, so that nothing is waited for."""
        process = self._process or self._start()
        if isinstance(message, TrackedRun):
            self._latest.pop(message.directory, None)
            self._going_on.add(message.directory)
        else:
            self._going_on.discard(message.directory)
        with suppress(OSError):  # it is gone, which `_read` notices
            _pipe(process.stdin).write(message.model_dump_json().encode() + b"\n")
            _pipe(process.stdin).flush()

    def ask(
        self, end: End, *, grace: float = _GRACE, first: float = _FIRST_ANSWER
    ) -> Report | None:
        """Sends the end of a run and waits for the final report; None of a process that has ended.

        Args:
            end: Its ``timeout`` is what the process takes at the most, if all is well.
            grace: Seconds to wait beyond it.
            first: Seconds to wait for the first word about the directory, before that.

        Raises:
            KeyboardInterrupt: Ctrl-C while it waits; the process is killed.
        """
        self.send(end)
        report: Report | None = None
        try:
            report = self._wait(end, end.timeout + grace, first)
        finally:
            if self._process is not None and (report is None or not report.final):
                self._process.kill()  # the next run gets another
                self.close()
        return report

    def close(self, *, wait: bool = True) -> None:
        """Lets the process end, and kills one that hangs; without ``wait``, in a thread."""
        if not wait:
            threading.Thread(target=self.close).start()
            return
        process, self._process = self._process, None
        if process is None:
            return
        self._going_on.clear()
        with suppress(OSError):
            _pipe(process.stdin).close()
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=_GRACE)
        finally:
            process.kill()
            self._reader.join()
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        apart: dict[str, Any] = {"start_new_session": True}
        if os.name == "nt":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]
        pipe = subprocess.PIPE
        self._process = process = subprocess.Popen(  # noqa: S603 - a constant
            _WORKER, stdin=pipe, stdout=pipe, env=without_handed_on(), **apart
        )
        self._latest.clear()
        self._has_ended = False
        self._reader = threading.Thread(target=self._read, args=[process.stdout], daemon=True)
        self._reader.start()
        return process

    def _wait(self, end: End, seconds: float, first: float) -> Report | None:
        """The time counts from the first word about the directory."""
        directory, latest = end.directory, self._latest
        with self._changed:
            if self._changed.wait_for(
                lambda: self._has_ended or directory in latest, seconds + first
            ):
                self._changed.wait_for(lambda: self._has_ended or latest[directory].final, seconds)
            last = latest.get(directory) or Report(directory=directory, tracker=end.tracker)
        if last.final:
            return last
        if self._has_ended:
            return None
        lack = {"missing": last.missing or ALL, "reason": f"no answer in {end.timeout:g} s"}
        return last.model_copy(update=lack)

    def _read(self, reports: IO[bytes]) -> None:
        with reports:
            for line in reports:
                report = Report.model_validate_json(line)
                with self._changed:
                    self._latest[report.directory] = report
                    self._changed.notify_all()
                if report.reason:
                    self._warn({report.directory}, report.reason)
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()
        self._warn(self._going_on, DEAD)

    def _warn(self, directories: set[Path], reason: str) -> None:
        """Says once, early, that a tracker is away; what it lacks is said at the end."""
        if told := self._going_on & directories:
            self._going_on -= told
            _LOG.warning("%s; the run goes on without", reason)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - it was asked for
    return pipe


class Tracking(NullObserver):
    """An observer of one run that takes nothing of its time: the run's files say everything.

    Args:
        plan: What is run; its ``tracking.kind`` is not none.
        process: Follows the run directory.
        sweep: Folder of the sweep that the run is a cell of.
        label: What sets it apart from the other cells.

    Raises:
        ConfigError: MLflow's address is none.
    """

    def __init__(
        self, plan: RunPlan, process: TrackerProcess, sweep: Path | None = None, label: str = ""
    ) -> None:
        if plan.tracking.kind == "mlflow":
            tracking_uri(plan.tracking.uri, plan.output_root)
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
        bound = min(self._run.tracking.drain_timeout, _HURRY if hurry else math.inf)
        name = self._run.tracker
        end = End(directory=self._run.directory, timeout=bound, tracker=name)
        grace, first = (_HURRY, 0.0) if hurry else (_GRACE, _FIRST_ANSWER)
        tell = "waiting for %s, up to %g s from its first answer (a new database takes some time)"
        patience = threading.Timer(_SILENT, _LOG.info, [tell, name, bound])
        patience.start()
        try:
            for _ in range(_LIVES):
                report = self._process.ask(end, grace=grace, first=first)
                if report is not None:
                    return report
                self._process.send(self._run)
        finally:
            patience.cancel()
        return Report(directory=end.directory, tracker=name, final=True, missing=ALL, reason=DEAD)
