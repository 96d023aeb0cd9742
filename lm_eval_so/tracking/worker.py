"""The process that speaks with trackers, so that nothing of it is felt by the requests.

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
from lm_eval_so.tracking.base import ALL, MESSAGES, End, Report, TrackedRun
from lm_eval_so.tracking.follow import Follower
from lm_eval_so.tracking.sweep import end_sweep

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PRIVATE = 0o077  # umask
_TURN = 0.2  # seconds of work between two looks at the messages
_LAST_WORDS = 10.0  # seconds, when nobody waits any more
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
        self._runs: dict[Path, Follower] = {}
        self._last: dict[Path, Report] = {}
        self._umask = os.umask(PRIVATE)

    def take(self, message: TrackedRun | End) -> None:
        """Carries out one message."""
        directory = message.directory
        try:
            if isinstance(message, TrackedRun):
                os.umask(PRIVATE if message.private else self._umask)
                self._runs[directory] = Follower(message)
            elif message.status is not None:
                self._tell(end_sweep(message))
            elif directory in self._runs:
                self._tell(self._runs.pop(directory).end(message.timeout, self._tell))
        except LmEvalError as error:
            lack = Report(directory=directory, tracker=message.tracker, missing=ALL, final=True)
            self._tell(lack.model_copy(update={"reason": str(error), "retryable": False}))

    def work(self) -> None:
        """Sends what waits."""
        for directory, run in self._runs.items():
            run.work(_TURN)
            before, self._last[directory] = self._last.get(directory), run.report()
            if before != self._last[directory]:
                self._tell(self._last[directory])

    def orphaned(self) -> None:
        """Nobody is there any more."""
        for directory in list(self._runs):
            self.take(End(directory=directory, timeout=_LAST_WORDS))


def settle() -> None:
    """Makes this process one that does nothing but tracking."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.disable()


def main() -> None:
    """Works until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what MLflow prints is no answer
    settle()

    def tell(report: Report) -> None:
        with suppress(OSError):  # nobody is there any more, which the end of stdin says too
            print(report.model_dump_json(), file=answers, flush=True)

    worker = Worker(tell)
    messages: queue.SimpleQueue[TrackedRun | End | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=[messages], daemon=True).start()
    while True:
        try:
            message = messages.get(timeout=_TURN)
        except queue.Empty:
            worker.work()
            continue
        if message is None:
            break
        worker.take(message)
        if messages.empty():
            worker.work()
    worker.orphaned()


def _read(messages: queue.SimpleQueue[TrackedRun | End | None]) -> None:
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
