"""Which process writes to a run directory, for hosts that cannot see its lock.

On some mounts a lock works only between processes of one host: sshfs, NFS with ``nolock`` or
``local_lock``. So a file names the holder, with a heartbeat. The clocks of hosts are not compared:
a holder is alive if its heartbeat changes.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from lm_eval_so.runner.errors import RunDirectoryBusyError
from lm_eval_so.runner.host.clock import steady
from lm_eval_so.runner.host.private import file_mode
from lm_eval_so.runner.store.claim import Claim, claim_of_this_process, is_gone, named, parsed
from lm_eval_so.runner.store.files import unwritable

_LOG = logging.getLogger(__name__)
_BEAT = 1.0  # seconds between two heartbeats
_WATCH = 5.0  # seconds without a heartbeat after which a holder counts as ended or stopped
_LOOK = 0.25  # seconds between two checks during that time
_DUE = 3.0  # seconds after which a check is due before the next write; less than _WATCH
_LONGEST = 4096  # bytes; a holder's file is shorter
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Holder:
    """Claims a directory for this process, and keeps the claim alive.

    Args:
        path: The file.
        sleep: Sleeps for a number of seconds.
        clock: Seconds; keeps counting while the process is stopped.
    """

    def __init__(
        self,
        path: Path,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = steady,
    ) -> None:
        self._path = path
        self._sleep = sleep
        self._clock = clock
        self._lost: RunDirectoryBusyError | None = None
        self._mutex = threading.Lock()
        self._ended = threading.Event()

    def claim(self) -> None:
        """Writes the file, and renews it from then on.

        Raises:
            RunDirectoryBusyError: Another process holds the directory.
            StoreError: It cannot be written.
        """
        self._mine = claim_of_this_process()
        try:
            while not self._create():
                left = _read(self._path)
                if left is not None and not is_gone(parsed(left)):
                    self._watch(left)
                if left is not None and _read(self._path) == left:
                    self._write(0)
                    break
        except OSError as error:
            raise unwritable(self._path, error) from error
        self._checked = self._clock()
        threading.Thread(target=self._renew, name="lm-eval-so-holder", daemon=True).start()

    def check(self) -> None:
        """Checks that no other process has claimed the directory meanwhile.

        Raises:
            RunDirectoryBusyError: Another process has.
        """
        with self._mutex:
            self._check()

    def check_if_due(self) -> None:
        """`check`, if this process was stopped so long that another may have claimed it.

        Raises:
            RunDirectoryBusyError: Another process has.
        """
        if self._lost is not None or self._clock() - self._checked > _DUE:
            self.check()

    def release(self) -> None:
        """Removes the file, unless another process owns it now."""
        self._ended.set()
        with self._mutex, suppress(OSError):  # a file that stays behind soon counts as ended
            claim = holder_of(self._path)
            if claim is None or claim.token == self._mine.token:
                self._path.unlink()

    def _create(self) -> bool:
        try:
            self._write(os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            return False
        return True

    def _watch(self, left: bytes) -> None:
        """Returns when the process that left this has ended.

        Raises:
            RunDirectoryBusyError: It still runs.
        """
        who = named(parsed(left))
        _LOG.warning(
            "%s: found the claim of another process%s; checking for %g s whether it still runs",
            self._path,
            who,
            _WATCH,
        )
        for _ in range(round(_WATCH / _LOOK)):
            self._sleep(_LOOK)
            found = _read(self._path)
            if found is None:
                return
            if found != left:
                raise busy(self._path.parent, parsed(found))

    def _renew(self) -> None:
        while not self._ended.wait(_BEAT):
            with self._mutex:
                try:
                    self._check()
                    if not self._ended.is_set():
                        self._write(0)
                except RunDirectoryBusyError:
                    return  # raised at the next check
                except OSError:
                    continue  # writing the results to the same disk will report it

    def _check(self) -> None:
        self._lost = self._lost or self._look()
        if self._lost is not None:
            raise self._lost

    def _look(self) -> RunDirectoryBusyError | None:
        try:
            found = _read(self._path)
        except OSError:
            return None  # nothing is known of another process
        if found is None:
            return RunDirectoryBusyError(
                f"{self._path} is gone: the directory was moved or removed, or another process "
                "finished a run in it; this process stops writing"
            )
        claim = parsed(found)
        if claim is not None and claim.token != self._mine.token:
            return RunDirectoryBusyError(
                f"another process{named(claim)} now writes to {self._path.parent}; this process "
                "stops writing"
            )
        self._checked = self._clock()
        return None

    def _write(self, flags: int) -> None:
        """In place and with one call, so that a reader never sees a part of it."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        self._mine = self._mine.model_copy(update={"heartbeat": now})
        text = self._mine.model_dump_json().encode() + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | flags | _NO_LINKS, file_mode())
        try:
            os.write(descriptor, text)
            os.ftruncate(descriptor, len(text))  # the earlier claim may have been longer
        finally:
            os.close(descriptor)


def holder_of(path: Path) -> Claim | None:
    """The claim in the file, if there is one."""
    try:
        found = _read(path)
    except OSError:
        return None
    return None if found is None else parsed(found)


def busy(directory: Path, claim: Claim | None) -> RunDirectoryBusyError:
    """The sentence for a directory that another process holds."""
    return RunDirectoryBusyError(
        f"{directory} is in use by another process{named(claim)}; wait until it ends, or choose "
        "another output_dir"
    )


def _read(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | _NO_LINKS)
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, _LONGEST)
    finally:
        os.close(descriptor)
