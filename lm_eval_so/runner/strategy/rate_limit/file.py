"""The file through which processes share the limits of an endpoint, and its lock."""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, Self
from zlib import crc32

from filelock import FileLock, Timeout
from pydantic import ConfigDict, Field, ValidationError

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.models import Value
from lm_eval_so.runner.strategy.rate_limit.lease import Holder
from lm_eval_so.runner.strategy.rate_limit.schedule import ScheduleState

_POLL = (0.002, 0.008)  # seconds between two tries to get the lock, which is held for microseconds
_PATIENCE = 1.0  # seconds without the lock; after more its holder must have been stopped
_LOCKS = 4  # the first and its spares
_LONGEST = 65_536  # bytes; a file that is longer is not ours
_LATEST = 1e11  # seconds; of a later time a float does not hold the fractions
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_FAR = 3600.0  # seconds ahead of the file's own time; nothing true lies further ahead


class LimitState(Value):
    """What the file holds: a line of JSON and a line with its checksum.

    What follows is left of a longer state.

    Attributes:
        now: The file's own time when it was written. It began as the wall clock of some host and
            goes on by the monotonic clocks of all. All other times are in it.
        holders: By name.
        clock: The writer's own clock then.
        clock_of: Names that clock, for processes that read the same one; None where it is unknown.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    version: Literal[2] = 2
    now: Annotated[float, Field(ge=0, le=_LATEST)]
    schedule: ScheduleState
    holders: dict[str, Holder]
    clock: float = 0.0
    clock_of: str | None = None

    def is_sane(self) -> bool:
        """Whether no time but a pause lies further ahead than a lease could have put it."""
        buckets = self.schedule.buckets.values()
        debts = [bucket.at - bucket.level / bucket.per_second for bucket in buckets]
        waits = [holder.until for holder in self.holders.values()]
        return max(self.schedule.next_start, *debts, *waits, 0.0) <= self.now + _FAR

    def without_far_pause(self) -> Self:
        """The same without a pause that is too long to be meant."""
        if self.schedule.paused_until <= self.now + _FAR:
            return self
        schedule = self.schedule.model_copy(update={"paused_until": 0.0})
        return self.model_copy(update={"schedule": schedule})


class LimitFile:
    """Read and written by the process that has the lock.

    A process that is stopped while it has the lock must not stop the others. After a second they
    use a spare lock, until the first one is free again.

    Args:
        path: The file; its locks stand beside it.

    Raises (in each method):
        StoreError: The file cannot be read, written or locked.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._path = path
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        with self._refusals():
            path.parent.mkdir(parents=True, exist_ok=True)
        names = [".lock", *(f".lock{number}" for number in range(2, _LOCKS + 1))]
        self._locks = [FileLock(path.with_suffix(name), thread_local=False) for name in names]
        self._reach = 1  # how many of the locks are tried
        self._held = self._locks[0]

    async def lock(self) -> bool:
        """Waits for the lock; returns whether it had to sleep."""
        began, slept = self._clock(), False
        while not self.try_lock():
            if self._clock() - began > _PATIENCE:
                self._reach = min(self._reach + 1, _LOCKS)
                began = self._clock()
            await self._sleep(self._jitter(*_POLL))
            slept = True
        return slept

    def try_lock(self) -> bool:
        """Takes the lock if it is free; returns whether it did."""
        for number, lock in enumerate(self._locks[: self._reach], start=1):
            with self._refusals():
                try:
                    lock.acquire(blocking=False)
                except Timeout:
                    continue
            self._held, self._reach = lock, number
            return True
        return False

    def unlock(self) -> None:
        """Frees the lock."""
        self._held.release()

    def read(self) -> LimitState | None:
        """The state; None where there is none, or it is damaged or of another version."""
        with self._refusals():
            try:
                with self._path.open("rb", buffering=0) as file:
                    text = file.read(_LONGEST)
            except FileNotFoundError:
                return None
        line, _, rest = text.partition(b"\n")
        if rest and not rest.startswith(_checksum(line)):
            return None  # a file that a person wrote has no checksum
        try:
            state = LimitState.model_validate_json(line)
        except ValidationError:
            return None
        return state.without_far_pause() if state.is_sane() else None

    def write(self, state: LimitState) -> None:
        """Replaces the state, in one write."""
        line = state.model_dump_json().encode()
        text = line + b"\n" + _checksum(line)
        with self._refusals():
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | _NO_LINKS, 0o666)
            try:
                os.write(descriptor, text)
            finally:
                os.close(descriptor)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise StoreError(f"{self._path} cannot be read or written: {reason}") from error


def _checksum(line: bytes) -> bytes:
    return b"%08x\n" % crc32(line)
