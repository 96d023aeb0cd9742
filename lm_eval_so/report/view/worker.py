"""A thread for what blocks, which does not outlive the server."""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """One thread that does one thing after the other.

    Nobody waits for it when the process ends, not even in the middle of a file of gigabytes or of
    a call to a mount that does not answer: it only reads, and what it writes is complete or absent.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def begin(self, job: Callable[[], T]) -> "Future[T]":
        """Has the job done when those before it are."""
        future: Future[T] = Future()
        self._jobs.put((future, job))
        return future

    async def do(self, job: Callable[[], T]) -> T:
        """What the job returns or raises."""
        return await asyncio.wrap_future(self.begin(job))

    def _work(self) -> None:
        while True:
            future, job = self._jobs.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                future.set_exception(error)
            else:
                future.set_result(result)
            del future, job
