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
from lm_eval_so.tracking.follow import Follower
from lm_eval_so.tracking.messages import ALL, MESSAGES, End, Message, Report, TrackedRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PRIVATE = 0o077
_TURN = 0.5  # seconds of work between two looks at the messages
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
        self._umask = os.umask(_PRIVATE)

    def take(self, message: Message) -> None:
        """Carries out one message."""
        directory = message.directory
        try:
            if isinstance(message, TrackedRun):
                os.umask(_PRIVATE if message.private else self._umask)
                self._runs[directory] = Follower(message)
            elif message.status is not None:
                self._tell(_sweep_ended(message))
            elif directory in self._runs:
                self._tell(self._runs.pop(directory).end(message.timeout, self._tell))
        except LmEvalError as error:
            lack = Report(directory=directory, final=True, missing=ALL, retryable=False)
            self._tell(lack.model_copy(update={"reason": str(error)}))

    def work(self) -> None:
        """Sends what waits."""
        for directory, run in self._runs.items():
            run.work(_TURN)
            report = run.report()
            if self._last.get(directory) != report:
                self._last[directory] = report
                self._tell(report)

    def orphaned(self) -> None:
        """Nobody is there any more."""
        for run in self._runs.values():
            with suppress(LmEvalError):
                run.end(_LAST_WORDS, self._tell)


def _sweep_ended(end: End) -> Report:
    from lm_eval_so.tracking.sweep import end_sweep  # noqa: PLC0415 - MLflow's alone

    return end_sweep(end)


def settle() -> None:
    """Makes this process one that does nothing but tracking."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.disable()


def main() -> None:
    """Works until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # what MLflow prints is no answer
    settle()

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
        worker.take(message)
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
