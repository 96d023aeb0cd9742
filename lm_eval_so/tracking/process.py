"""The process beside a run, which follows run directories. Only `ask` and `close` wait for it."""

import logging
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from lm_eval_so.runner.masking.values import without_handed_on
from lm_eval_so.tracking.messages import ALL, End, Message, Report, TrackedRun

_LOG = logging.getLogger(__name__)
DEAD = "the tracking process has ended"
GRACE = 5.0  # seconds beyond what the process was given
FIRST_ANSWER = 120.0
"""Seconds that MLflow may take to answer at all: on a small machine that is busy, it takes a minute
to import it and to make a database."""
# -P: a script of the user's that is called mlflow.py is not MLflow.
_WORKER = [sys.executable, "-P", "-W", "ignore", "-m", "lm_eval_so.tracking.worker"]


class TrackerProcess:
    """Follows any number of runs, one after another or at once; it starts with the first."""

    def __init__(self) -> None:
        self._child: _Child | None = None

    def send(self, message: Message) -> None:
        """Sends a message: far less than the pipe holds, so that nothing is waited for."""
        self._running().send(message)

    def ask(self, end: End, *, grace: float = GRACE, first: float = FIRST_ANSWER) -> Report | None:
        """Sends the end of a run and waits for the final report; None of a process that has ended.

        Args:
            end: Its ``timeout`` is what the process takes at the most, if all is well.
            grace: Seconds to wait beyond it.
            first: Seconds to wait for the first word about the directory, before that.

        Raises:
            KeyboardInterrupt: Ctrl-C while it waits; the process is killed.
        """
        child = self._running()
        child.send(end)
        report: Report | None = None
        try:
            report = child.wait(end, grace, first)
        finally:
            if report is None or not report.final:
                self._child = None  # the next run gets another
                child.kill()
        return report

    def close(self, *, wait: bool = True) -> None:
        """Ends the process; without ``wait``, in a thread that sees to it."""
        child, self._child = self._child, None
        if child is None:
            return
        if wait:
            child.close()
        else:
            threading.Thread(target=child.close).start()

    def _running(self) -> "_Child":
        self._child = self._child or _Child()
        return self._child


class _Child:
    """The process, and a thread that takes its reports.

    It has a session of its own, so that Ctrl-C is not for it; it ends with the pipe, however this
    process ends.
    """

    def __init__(self) -> None:
        apart: dict[str, Any] = {"start_new_session": True}
        if os.name == "nt":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(  # noqa: S603 - a constant
            _WORKER, stdin=pipe, stdout=pipe, env=without_handed_on(), **apart
        )
        self._latest: dict[Path, Report] = {}
        self._going_on: set[Path] = set()  # and nothing was said of its tracker yet
        self._has_ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def send(self, message: Message) -> None:
        if isinstance(message, TrackedRun):
            self._latest.pop(message.directory, None)
            self._going_on.add(message.directory)
        else:
            self._going_on.discard(message.directory)
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        with suppress(OSError):  # the process is gone, which the thread notices
            self._process.stdin.write(message.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()

    def wait(self, end: End, grace: float, first: float) -> Report | None:
        """The final report, or the last one before the time is up; None of a dead process.

        The time counts from the first word about the directory.
        """
        seconds, latest = end.timeout + grace, self._latest
        with self._changed:
            if self._changed.wait_for(
                lambda: self._has_ended or end.directory in latest, seconds + first
            ):
                self._changed.wait_for(
                    lambda: self._has_ended or latest[end.directory].final, seconds
                )
            last = latest.get(end.directory) or Report(directory=end.directory)
        if last.final:
            return last
        if self._has_ended:
            return None
        lack = {"missing": last.missing or ALL, "reason": f"no answer in {end.timeout:g} s"}
        return last.model_copy(update=lack)

    def close(self) -> None:
        """Lets the process come to its end; one that hangs is killed."""
        self._going_on.clear()
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        except BaseException:  # Ctrl-C
            self.kill()
            raise
        self._process.wait()
        self._thread.join()

    def kill(self) -> None:
        """Ends the process, whatever it does."""
        self._process.kill()
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        with self._process.stdout as pipe:
            for line in pipe:
                report = Report.model_validate_json(line)
                with self._changed:
                    self._latest[report.directory] = report
                    self._changed.notify_all()
                if report.reason:
                    self._warn({report.directory}, report.reason)
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()
        self._warn(set(self._going_on), DEAD)

    def _warn(self, directories: set[Path], reason: str) -> None:
        """Says once, early, that a tracker is away; what it lacks is said at the end."""
        if directories & self._going_on:
            self._going_on -= directories
            _LOG.warning("%s; the run goes on without", reason)
