"""One process at a time in a run directory."""

from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from lm_eval_so.runner.host.private import file_mode, make_directory
from lm_eval_so.runner.store.files import unwritable
from lm_eval_so.runner.store.holder import Holder, busy, holder_of

_HOLDER = ".lock.holder"


class DirectoryLock:
    """Held from the claim to the end; the system lets go of it when the process dies.

    The holder stands in a file of its own, for those that the lock does not reach, and since on
    Windows a locked file cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        mode = file_mode() & 0o644  # it is set, whatever the umask says
        self._lock = FileLock(directory / ".lock", timeout=0, mode=mode, thread_local=False)
        self._holder = Holder(directory / _HOLDER)

    def __enter__(self) -> Self:
        try:
            make_directory(self._directory)
            self._lock.acquire()
        except Timeout as error:
            raise busy(self._directory, holder_of(self._directory / _HOLDER)) from error
        except OSError as error:
            raise unwritable(self._directory, error) from error
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
        """Makes sure that nobody else has claimed the directory, where the lock did not show.

        Raises:
            RunDirectoryBusyError: Somebody has.
        """
        self._holder.check()

    def check_if_due(self) -> None:
        """`check`, after a time in which this process was stopped."""
        self._holder.check_if_due()
