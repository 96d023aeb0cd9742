"""The directory of the whole while it is written: nobody else's, and gone again if nothing came."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lm_eval_so.runner.store.lock import DirectoryLock


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Holds it as a run does; a directory that was made for this goes again if anything is raised.

    Raises:
        RunDirectoryBusyError: Another process holds it.
        StoreError: It cannot be written.
    """
    is_new = not directory.exists()
    try:
        with DirectoryLock(directory):
            yield
    except BaseException:
        if is_new:
            with suppress(OSError):  # something has come into it
                (directory / ".lock").unlink(missing_ok=True)
                directory.rmdir()
        raise


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM change nothing any more: what is left to be done takes milliseconds."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
