"""Files that are whole or not there."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from lm_eval_so.runner.errors import StoreError


def replace_file(path: Path, pieces: Iterable[bytes], *, several_writers: bool = False) -> None:
    """Puts a new file in the place of ``path`` in one step, synced to disk.

    Args:
        path: The file.
        pieces: Its content.
        several_writers: Whether others may do the same at this moment; no lock keeps them away.

    Raises:
        StoreError: It cannot be written; what stood there before still does.
    """
    own = f".{secrets.token_hex(4)}" if several_writers else ""
    temporary = path.with_name(f"{path.name}{own}.tmp")
    try:
        with temporary.open("wb", buffering=1 << 18) as file:
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
