"""One process at a time in a run directory."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from lm_eval_so.runner.errors import RunDirectoryBusyError
from lm_eval_so.runner.private import file_mode, make_directory, open_own
from lm_eval_so.runner.store.files import unwritable


class DirectoryLock:
    """Held from the claim to the end; the system lets go of it when the process dies.

    The holder's pid stands in a file of its own, since on Windows a locked file cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        mode = file_mode() & 0o644  # it is set, whatever the umask says
        self._lock = FileLock(directory / ".lock", timeout=0, mode=mode, thread_local=False)
        self._holder = directory / ".lock.pid"

    def __enter__(self) -> Self:
        try:
            make_directory(self._directory)
            self._lock.acquire()
            self._note_holder()
        except Timeout as error:
            holder = self._holder.read_text() if self._holder.is_file() else "unknown"
            raise RunDirectoryBusyError(
                f"{self._directory} is in use by another process (pid {holder}); wait for it, or "
                "choose another output_dir"
            ) from error
        except OSError as error:
            raise unwritable(self._directory, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._holder.unlink(missing_ok=True)
        self._lock.release()

    def _note_holder(self) -> None:
        descriptor = open_own(self._holder, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(descriptor, str(os.getpid()).encode())
        finally:
            os.close(descriptor)
