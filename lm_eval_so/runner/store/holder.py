"""Who writes to a run directory, for those that its lock does not reach.

On some mounts a lock holds back the processes of its own host alone: sshfs, NFS with ``nolock`` or
``local_lock``. So the holder's name stands in a file, with a heartbeat. Clocks of hosts are not
compared: a heartbeat is fresh when it is seen to move.
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
_WATCH = 5.0  # seconds without a heartbeat after which a holder has ended, or was stopped
_LOOK = 0.25  # seconds between two looks meanwhile
_DUE = 3.0  # seconds after which a look is due before anything is written; less than _WATCH
_LONGEST = 4096  # bytes; more is no holder's
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Holder:
    """This process as the one that writes to a directory.

    Args:
        path: The file.
        sleep: For so many seconds.
        clock: Seconds; goes on while the process is stopped.
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
        """Writes the file, and renews it from now on.

        Raises:
            RunDirectoryBusyError: Another process does so.
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
        """Makes sure that nobody else has claimed the directory meanwhile.

        Raises:
            RunDirectoryBusyError: Somebody has.
        """
        with self._mutex:
            self._check()

    def check_if_due(self) -> None:
        """`check`, if this process was stopped for so long that another may have come.

        Raises:
            RunDirectoryBusyError: Another has come.
        """
        if self._lost is not None or self._clock() - self._checked > _DUE:
            self.check()

    def release(self) -> None:
        """Takes the file away, unless it is another one's by now."""
        self._ended.set()
        with self._mutex, suppress(OSError):  # a file that is left is nobody's in a moment
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
        """Returns when whoever left this has ended.

        Raises:
            RunDirectoryBusyError: It goes on.
        """
        who = named(parsed(left))
        _LOG.warning(
            "%s: left by another process%s; looking for %g s whether it goes on",
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
                    return  # told at the next check
                except OSError:
                    continue  # the results are written to the same disk, and tell of it

    def _check(self) -> None:
        self._lost = self._lost or self._look()
        if self._lost is not None:
            raise self._lost

    def _look(self) -> RunDirectoryBusyError | None:
        try:
            found = _read(self._path)
        except OSError:
            return None  # no news of anybody else
        if found is None:
            return RunDirectoryBusyError(
                f"{self._path} is gone: the directory was moved or removed, or another process "
                "has finished a run in it meanwhile; nothing more is written"
            )
        claim = parsed(found)
        if claim is not None and claim.token != self._mine.token:
            return RunDirectoryBusyError(
                f"another process{named(claim)} writes to {self._path.parent} by now; this one "
                "writes nothing more"
            )
        self._checked = self._clock()
        return None

    def _write(self, flags: int) -> None:
        """In place and with one call, so that no reader meets a part or another file."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        self._mine = self._mine.model_copy(update={"heartbeat": now})
        text = self._mine.model_dump_json().encode() + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | flags | _NO_LINKS, file_mode())
        try:
            os.write(descriptor, text)
            os.ftruncate(descriptor, len(text))  # what was taken over can have been longer
        finally:
            os.close(descriptor)


def holder_of(path: Path) -> Claim | None:
    """Who stands in the file, if anybody does."""
    try:
        found = _read(path)
    except OSError:
        return None
    return None if found is None else parsed(found)


def busy(directory: Path, claim: Claim | None) -> RunDirectoryBusyError:
    """The sentence for a directory that another process holds."""
    return RunDirectoryBusyError(
        f"{directory} is in use by another process{named(claim)}; wait for it, or choose another "
        "output_dir"
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
