"""Files that are complete or absent."""

import errno
import glob
import os
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.host.private import open_own

_SUFFIX = ".tmp"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def replace_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Replaces ``path`` with a new file in one step, synced to disk.

    Raises:
        StoreError: It cannot be written; the old file is unchanged.
    """
    put_in_place(write_beside(path, pieces), path)


def write_beside(path: Path, pieces: Iterable[bytes]) -> Path:
    """Writes and syncs a file with which `put_in_place` replaces ``path``.

    Raises:
        StoreError: It cannot be written. The new file is removed, also if ``pieces`` raises.
    """
    temporary = name_beside(path)
    try:
        remove_abandoned(path)
        temporary.unlink(missing_ok=True)  # also if it is a link
        descriptor = open_own(temporary, os.O_WRONLY | os.O_TRUNC)
        with open(descriptor, "wb", buffering=1 << 18) as file:  # noqa: PTH123 - a descriptor
            file.writelines(pieces)
            file.flush()
            sync_file(file.fileno(), path)
    except BaseException as error:
        _remove(temporary)
        if isinstance(error, OSError):
            raise unwritable(path, error) from error
        raise
    return temporary


def name_beside(path: Path) -> Path:
    """The name of a file that is going to replace ``path``.

    It is unique for the writer, so that several can write at once, and says who that is.
    """
    mark = f"{_machine()}-{os.getpid()}-{threading.get_ident()}"
    return path.with_name(f"{path.name}.{mark}{_SUFFIX}")


def put_in_place(temporary: Path, path: Path) -> None:
    """Renames a written file to its final name; it replaces an older one.

    Raises:
        StoreError: The file cannot be renamed, and the old one is unchanged; or it was renamed,
            but the disk refuses to sync it.
    """
    try:
        temporary.replace(path)
    except OSError as error:
        _remove(temporary)
        raise unwritable(path, error) from error
    sync_name(path)


def remove_abandoned(path: Path) -> None:
    """Removes files of processes of this machine that were killed while they wrote ``path``."""
    remove_of_the_killed(path)
    _remove(path.with_name(f"{path.name}{_SUFFIX}"))  # the name in earlier versions


def remove_of_the_killed(path: Path) -> None:
    """`remove_abandoned`, for a path that a person chose: only what bears our mark."""
    for found in path.parent.glob(f"{glob.escape(path.name)}.*{_SUFFIX}"):
        machine, *numbers = found.name[len(path.name) + 1 : -len(_SUFFIX)].split("-")
        if machine == _machine() and _is_dead(*numbers):
            _remove(found)


def sync_file(descriptor: int, path: Path) -> None:
    """Makes the written data survive a power cut.

    Raises:
        StoreError: The disk refuses.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise unsynced(path, error) from error


def sync_name(path: Path) -> None:
    """Makes the name of a file survive a power cut, if its directory can be synced.

    Raises:
        StoreError: The disk refuses.
    """
    if os.name == "nt":
        return  # a directory cannot be opened there
    try:
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # the file system cannot do this
            raise unsynced(path, error) from error


def unwritable(path: Path, error: OSError) -> StoreError:
    """The sentence for a file that cannot be written."""
    safe = "earlier results are safe; " if error.errno in _FULL else ""
    return StoreError(
        f"cannot write {path}: {error.strerror}; {safe}run the same command again to resume"
    )


def no_directory(path: Path, error: OSError) -> StoreError:
    """The sentence for a run directory that cannot be made or entered."""
    if error.errno in _FULL:
        return unwritable(path, error)
    there = (each for each in (path, *path.parents) if os.path.exists(each))  # noqa: PTH110 - never an OSError
    taken = next(there, None)
    reason = error.strerror if taken is None or taken.is_dir() else f"{taken} is not a directory"
    return StoreError(f"cannot write {path}: {reason}; choose another output_dir or output_root")


def unsynced(path: Path, error: OSError) -> StoreError:
    """The sentence for a file that the disk refuses to sync after it was written."""
    return StoreError(
        f"cannot write {path}: {error.strerror} (while syncing to disk); results of the last "
        "seconds may be lost; the same command requests them again"
    )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns an error of reading ``path`` into a StoreError.

    Raises:
        StoreError: The disk refuses.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read: {error.strerror}; the file was not changed"
        ) from error


def is_full(error: StoreError) -> bool:
    """Whether a file cannot be written because the disk is full."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # it does no harm


def _machine() -> str:
    return socket.gethostname().replace("-", "_")


def _is_dead(pid: str = "", *_: str) -> bool:
    """Whether no process has this number."""
    if os.name == "nt" or not pid.isdecimal():
        return False  # there is no harmless way to ask on Windows
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False
