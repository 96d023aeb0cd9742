"""What is known of the limits on one endpoint, model and key, and who shares it."""

import time
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson
from filelock import FileLock

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.strategy.bucket import Bucket

_POLL = 0.001  # seconds between two tries to get the lock, which is held for microseconds
_AHEAD = 5.0  # seconds that a time stamp may lie before us; further ahead, a clock was set back


class Limits:
    """Shared by the runs of one process. It is read and changed within ``with``.

    Attributes:
        next_start: Time before which nothing starts, by ``clock``.
        paused_until: As the server asked.
        buckets: By unit, ``requests`` and ``tokens``.
    """

    clock = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.next_start = 0.0
        self.paused_until = 0.0
        self.buckets: dict[str, Bucket] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


class SharedLimits(Limits):
    """Shared by processes through a file, which each holds for the time of ``with``.

    Args:
        path: The file; the lock stands beside it.

    Raises (on entering):
        StoreError: The file cannot be written.
    """

    clock = staticmethod(time.time)  # the machines of a cluster have only this one in common

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path.parent} cannot be written: {error.strerror}") from error
        self._lock = FileLock(path.with_suffix(".lock"), thread_local=False)
        self._read = b""

    def __enter__(self) -> Self:
        try:
            self._lock.acquire(poll_interval=_POLL)
            text = self._path.read_bytes() if self._path.exists() else b""
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}") from error
        if text != self._read:
            self._load(text)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            text = orjson.dumps(
                {
                    "next_start": self.next_start,
                    "paused_until": self.paused_until,
                    "buckets": {unit: bucket.state() for unit, bucket in self.buckets.items()},
                }
            )
            if text != self._read:
                self._path.write_bytes(text)
                self._read = text
        except OSError as refused:
            raise StoreError(f"{self._path} cannot be written: {refused.strerror}") from refused
        finally:
            self._lock.release()

    def _load(self, text: bytes) -> None:
        try:
            state = orjson.loads(text)
        except orjson.JSONDecodeError:
            return  # a process was killed while it wrote: what this one knows holds
        latest = self.clock() + _AHEAD
        self._read = text
        self.next_start = min(state["next_start"], latest)
        self.paused_until = state["paused_until"]
        self.buckets = {unit: Bucket.of_state(found) for unit, found in state["buckets"].items()}
        for bucket in self.buckets.values():
            bucket.not_after(latest)
