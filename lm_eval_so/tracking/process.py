"""The pipe to the process that speaks with MLflow. Nothing here waits, but `ask` and `close`."""

import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from lm_eval_so.runner.masking.values import without_handed_on
from lm_eval_so.tracking.messages import ALL, Begin, End, EndSweep, LiveMetrics, Report

DEAD = "the process that speaks with MLflow has ended"
GRACE = 5.0  # seconds beyond what the process was given
FIRST_ANSWER = 120.0
"""Seconds that MLflow may take to answer at all: on a small machine that is busy, it takes a minute
to import it and to make a database."""
# -P: a script of the user's that is called mlflow.py is not MLflow.
_WORKER = [sys.executable, "-P", "-W", "ignore", "-m", "lm_eval_so.tracking.worker"]


class Feeder:
    """Feeds any number of runs, one after another or at once; its process starts with the first."""

    def __init__(self) -> None:
        self._pipe: _Pipe | None = None
        self._latest: dict[Path, Report] = {}

    def send(self, message: Begin | LiveMetrics | End | EndSweep) -> None:
        """Sends a message, without waiting for anything."""
        self._running().messages.put(message.model_dump_json().encode() + b"\n")

    def latest(self, directory: Path) -> Report | None:
        """What was told of a directory last."""
        reports = self._running().reports
        while not reports.empty():
            report = reports.get()
            if report is None:
                reports.put(None)  # for `ask`
                return Report(directory=directory, reason=DEAD)
            self._latest[report.directory] = report
        return self._latest.get(directory)

    def ask(
        self, message: End | EndSweep, *, grace: float = GRACE, first: float = FIRST_ANSWER
    ) -> Report | None:
        """Sends a message and waits for the final report; None if the process has ended early.

        Args:
            message: Its ``timeout`` is what the process takes at the most, if all is well.
            grace: Seconds to wait beyond it.
            first: Seconds to wait for the first word about the directory, before that.

        Raises:
            KeyboardInterrupt: Ctrl-C while it waits; the process is killed.
        """
        self.send(message)
        report: Report | None = None
        try:
            report = self._wait(message, message.timeout + grace, first)
        finally:
            if report is None or not report.final:
                self._kill()  # the next run gets another
        return report

    def close(self, *, wait: bool = True) -> None:
        """Ends the process; without ``wait``, in a thread that sees to it."""
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            return
        if wait:
            pipe.close()
        else:
            threading.Thread(target=pipe.close).start()

    def _kill(self) -> None:
        pipe, self._pipe = self._pipe, None
        self._latest.clear()  # the next process begins anew
        if pipe is not None:
            pipe.kill()

    def _wait(self, message: End | EndSweep, seconds: float, first: float) -> Report | None:
        """The final report, or the last one before the time is up; None of a dead process.

        The time counts from the first word about the directory.
        """
        reports, directory = self._running().reports, message.directory
        answered = self.latest(directory) is not None
        until = time.monotonic() + seconds + (0 if answered else first)
        while (left := until - time.monotonic()) > 0:
            try:
                report = reports.get(timeout=left)
            except queue.Empty:
                break
            if report is None:
                return None
            self._latest[report.directory] = report
            if not answered and report.directory == directory:
                answered, until = True, time.monotonic() + seconds
            if report.final and report.directory == directory:
                return report
        last = self._latest.get(directory) or Report(directory=directory)
        lack = {"missing": last.missing or ALL, "reason": f"no answer in {message.timeout:g} s"}
        return last.model_copy(update=lack)

    def _running(self) -> "_Pipe":
        if self._pipe is None:
            self._pipe = _Pipe()
        return self._pipe


class _Pipe:
    """The process, and two threads that keep its pipes from ever being waited for.

    It has a session of its own, so that Ctrl-C is not for it; it ends with the pipe, however this
    process ends.
    """

    def __init__(self) -> None:
        apart: dict[str, Any] = {"start_new_session": True}
        if os.name == "nt":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]
        self._process = subprocess.Popen(  # noqa: S603 - a constant
            _WORKER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=without_handed_on(),
            **apart,
        )
        self.messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.reports: queue.SimpleQueue[Report | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=t, daemon=True) for t in (self._write, self._read)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Lets the process come to its end; one that hangs is killed."""
        self.messages.put(None)
        try:
            self._process.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        except BaseException:  # Ctrl-C
            self.kill()
            raise
        self._gather()

    def kill(self) -> None:
        """Ends the process, whatever it does."""
        self._process.kill()
        self.messages.put(None)
        self._gather()

    def _gather(self) -> None:
        self._process.wait()
        for thread in self._threads:
            thread.join()

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None  # noqa: S101 - asked for above
        with suppress(OSError), pipe:  # the process is gone, which the reader tells
            while (message := self.messages.get()) is not None:
                pipe.write(message)
                pipe.flush()

    def _read(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101 - asked for above
        with pipe:
            for line in pipe:
                self.reports.put(Report.model_validate_json(line))
        self.reports.put(None)
