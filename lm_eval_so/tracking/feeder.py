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

from lm_eval_so.tracking.messages import Begin, End, EndSweep, LiveMetrics, Report

_GRACE = 5.0  # seconds beyond what the process was given
_WORKER = [sys.executable, "-W", "ignore", "-m", "lm_eval_so.tracking.worker"]


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
            self._take(reports.get())
        return self._latest.get(directory)

    def ask(self, message: End | EndSweep) -> Report:
        """Sends a message and waits for the final report, for its ``timeout`` at the most."""
        self.send(message)
        until = time.monotonic() + message.timeout + _GRACE
        reason = f"no answer within {message.timeout:g} s"
        while (left := until - time.monotonic()) > 0:
            try:
                report = self._running().reports.get(timeout=left)
            except queue.Empty:
                break
            if report is None:
                reason = "its process ended early"
                break
            self._take(report)
            if report.final and report.directory == message.directory:
                return report
        self.close()  # the next run gets another
        last = self._latest.get(message.directory) or Report(directory=message.directory)
        missing = last.missing or ("what was told last",)
        return last.model_copy(update={"final": True, "missing": missing, "reason": reason})

    def close(self) -> None:
        """Ends the process."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def _running(self) -> "_Pipe":
        if self._pipe is None:
            self._pipe = _Pipe()
        return self._pipe

    def _take(self, report: Report | None) -> None:
        if report is not None:
            self._latest[report.directory] = report


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
            _WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **apart
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
            self._process.wait(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
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
