"""Files that are whole or not there."""

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
    """Puts a new file in the place of ``path`` in one step, synced to disk.

    Raises:
        StoreError: It cannot be written; what stood there before still does.
    """
    put_in_place(write_beside(path, pieces), path)


def write_beside(path: Path, pieces: Iterable[bytes]) -> Path:
    """Writes and syncs a file that `put_in_place` will put in the place of ``path``.

    Its name is the writer's own, so that several may write at once.

    Raises:
        StoreError: It cannot be written, and is gone again; so it is where ``pieces`` raises.
    """
    mark = f"{_machine()}-{os.getpid()}-{threading.get_ident()}"
    temporary = path.with_name(f"{path.name}.{mark}{_SUFFIX}")
    try:
        remove_abandoned(path)
        temporary.unlink(missing_ok=True)  # whatever it is, a link included
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


def put_in_place(temporary: Path, path: Path) -> None:
    """Gives a written file its name, in the place of what had it before.

    Raises:
        StoreError: It cannot be done, and what had the name still has it; or it was done, and the
            disk refuses to say that it will last.
    """
    try:
        temporary.replace(path)
    except OSError as error:
        _remove(temporary)
        raise unwritable(path, error) from error
    _sync_directory(path)


def remove_abandoned(path: Path) -> None:
    """Removes what processes of this machine left that were killed while they wrote ``path``."""
    for found in path.parent.glob(f"{glob.escape(path.name)}.*{_SUFFIX}"):
        machine, *numbers = found.name[len(path.name) + 1 : -len(_SUFFIX)].split("-")
        if machine == _machine() and _is_dead(*numbers):
            _remove(found)
    _remove(path.with_name(f"{path.name}{_SUFFIX}"))  # as earlier versions called it


def sync_file(descriptor: int, path: Path) -> None:
    """Makes what was written survive a power cut.

    Raises:
        StoreError: The disk refuses.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise unsynced(path, error) from error


def unwritable(path: Path, error: OSError) -> StoreError:
    """The sentence for a file that cannot be written."""
    safe = "what was written before is safe, and " if error.errno in _FULL else ""
    return StoreError(
        f"cannot write {path}: {error.strerror}; {safe}the same command goes on from there"
    )


def unsynced(path: Path, error: OSError) -> StoreError:
    """The sentence for a file that the disk refuses to keep, whatever it took before."""
    return StoreError(
        f"cannot write {path}: {error.strerror}, said by the disk when it was to keep what it had "
        "taken; results of the last seconds may be lost, and those are asked again"
    )


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Tells a disk that does not give a file back as what it is.

    Raises:
        StoreError: The disk refuses.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read: {error.strerror}; nothing of it was changed"
        ) from error


def is_full(error: StoreError) -> bool:
    """Whether it is for want of room that a file cannot be written."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL


def _sync_directory(path: Path) -> None:
    """Makes the name of a file survive a power cut, where its directory can be synced."""
    if os.name == "nt":
        return  # a directory cannot be opened there
    try:
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # the file system has no such thing
            raise unsynced(path, error) from error


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # it is in nobody's way


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
