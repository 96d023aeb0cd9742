"""One process at a time in a run directory."""

import time
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from lm_eval_so.runner.host.private import file_mode, make_directory
from lm_eval_so.runner.store.claim import is_gone, named
from lm_eval_so.runner.store.files import no_directory
from lm_eval_so.runner.store.holder import Holder, busy, holder_of

_HOLDER = ".lock.holder"
_QUIET = 60.0
"""Seconds without a heartbeat, of which there is one each second, after which nobody is there."""


class DirectoryLock:
    """Held from the claim to the end; the system releases it when the process dies.

    A separate file names the holder: for hosts that cannot see the lock, and because a locked file
    cannot be read on Windows.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        mode = file_mode() & 0o644  # it is set regardless of the umask
        self._lock = FileLock(directory / ".lock", timeout=0, mode=mode, thread_local=False)
        self._holder = Holder(directory / _HOLDER)

    def __enter__(self) -> Self:
        try:
            make_directory(self._directory)
            self._lock.acquire()
        except Timeout as error:
            raise busy(self._directory, holder_of(self._directory / _HOLDER)) from error
        except OSError as error:
            raise no_directory(self._directory, error) from error
        try:
            self._holder.claim()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.release()
        self._lock.release()

    def check(self) -> None:
        """Checks that no other process has claimed the directory in spite of the lock.

        Raises:
            RunDirectoryBusyError: Another process has.
        """
        self._holder.check()

    def check_if_due(self) -> None:
        """`check`, if this process was stopped for a while."""
        self._holder.check_if_due()


def is_held(directory: Path) -> bool:
    """Whether a process writes to the directory, as far as its file tells; nothing is changed."""
    path = directory / _HOLDER
    claim = holder_of(path)
    if claim is None or is_gone(claim):
        return False
    try:
        return time.time() - path.stat().st_mtime < _QUIET
    except OSError:
        return False


def holder_in(directory: Path) -> str:
    """Which process that is, in brackets; empty where it is not known."""
    return named(holder_of(directory / _HOLDER))
