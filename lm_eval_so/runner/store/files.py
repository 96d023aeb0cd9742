"""Files that are whole or not there."""

import os
from collections.abc import Iterable
from pathlib import Path

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.private import open_own


def replace_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Puts a new file in the place of ``path`` in one step, synced to disk.

    Raises:
        StoreError: It cannot be written; what stood there before still does.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # a link, or what a killed command left
        descriptor = open_own(temporary, os.O_WRONLY | os.O_TRUNC)
        with open(descriptor, "wb", buffering=1 << 18) as file:  # noqa: PTH123 - a descriptor
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> StoreError:
    """The sentence for a file that cannot be written."""
    return StoreError(
        f"cannot write {path}: {error.strerror}; what was written before is safe, and the same "
        "command goes on from there"
    )


def _sync_directory(path: Path) -> None:
    if os.name == "nt":
        return  # a directory cannot be opened there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
