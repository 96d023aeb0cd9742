"""The process that speaks with MLflow, so that nothing of it is felt by the requests.

Run as ``python -m lm_eval_so.tracking.worker``; it reads messages as lines of JSON from stdin, and
answers on stdout. When stdin ends before a run has, whoever carried it out has been killed.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.tracking.client import TrackingClient
from lm_eval_so.tracking.messages import (
    ALL,
    MESSAGES,
    Begin,
    End,
    EndSweep,
    LiveMetrics,
    Message,
    Report,
)
from lm_eval_so.tracking.sweep import end_sweep
from lm_eval_so.tracking.tracked import TrackedRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PRIVATE = 0o077
_TURN = 0.5  # seconds of work between two looks at the messages
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # what could not be sent waits here, not in there
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",  # seconds
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
}


class Worker:
    """Carries out messages; ``tell`` takes the reports."""

    def __init__(self, tell: Callable[[Report], object]) -> None:
        self._tell = tell
        self._runs: dict[Path, TrackedRun] = {}
        self._last: dict[Path, Report] = {}
        self._umask = os.umask(_PRIVATE)

    def take(self, message: Message) -> None:
        """Carries out one message."""
        run = self._runs.get(message.directory)
        match message:
            case Begin():
                os.umask(_PRIVATE if message.private else self._umask)
                self._runs[message.directory] = TrackedRun(message)
            case LiveMetrics() if run:
                run.live(message)
            case End() if run:
                del self._runs[message.directory]
                run.end(message, self._tell)
                self._tell(run.report(final=True))
            case EndSweep():
                self._tell(_sweep_ended(message))

    def work(self) -> None:
        """Logs what waits."""
        for directory, run in self._runs.items():
            run.work(_TURN)
            report = run.report()
            if self._last.get(directory) != report:
                self._last[directory] = report
                self._tell(report)

    def orphaned(self) -> None:
        """Nobody is there any more."""
        for run in self._runs.values():
            run.killed()


def _sweep_ended(message: EndSweep) -> Report:
    report = Report(directory=message.directory, final=True)
    for uri in message.uris:
        store = TrackingClient(uri)
        try:
            store.probe()
            report = report.model_copy(update={"link": end_sweep(store, message)})
        except LmEvalError as error:
            lack = {"missing": ("the end of the sweep",), "reason": str(error)}
            report = report.model_copy(update=lack)
    return report


def main() -> None:
    """Works until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # what MLflow prints is no answer
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.disable()

    def tell(report: Report) -> None:
        with suppress(OSError):  # nobody is there any more, which the end of stdin says too
            print(report.model_dump_json(), file=answers, flush=True)

    worker = Worker(tell)
    messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=[messages], daemon=True).start()
    while True:
        try:
            message = messages.get(timeout=_TURN)
        except queue.Empty:
            worker.work()
            continue
        if message is None:
            break
        try:
            worker.take(message)
        except LmEvalError as error:
            tell(
                Report(
                    directory=message.directory,
                    final=True,
                    reason=str(error),
                    missing=ALL,
                    retryable=False,
                )
            )
        if messages.empty():
            worker.work()
    worker.orphaned()


def _read(messages: queue.SimpleQueue[Message | None]) -> None:
    """Reads all the time, so that whoever writes never waits."""
    try:
        for line in sys.stdin.buffer:
            messages.put(MESSAGES.validate_json(line))
    finally:
        messages.put(None)


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # noqa: BLE001 - a bug, which ends the process
        traceback.print_exc()
        os._exit(1)  # the thread that reads stdin would not let it end
