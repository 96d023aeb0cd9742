"""``run_metadata.json`` of a run directory: written and read."""

import os
from pathlib import Path

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.store.files import is_full, replace_file, sync_file
from lm_eval_so.runner.store.run_metadata import (
    Owner,
    RunMetadata,
    damaged,
    parse_metadata,
    parse_owner,
)

METADATA = "run_metadata.json"
_COPIES = "artifacts"  # where MLflow keeps a run's files, among them copies of ours
_ROOM = b" " * 2048 + b"\n"


def write_metadata(directory: Path, metadata: RunMetadata) -> None:
    """Replaces the file in one step.

    Where the disk is full, it is written over in place, without the summary if that does not fit:
    while a run goes on its file is larger than needed, so that there is room to say how it ended.

    Raises:
        StoreError: It cannot be written.
    """
    path, running = directory / METADATA, metadata.state == "running"
    try:
        replace_file(path, [metadata.to_json(), *([_ROOM] if running else [])])
    except StoreError as error:
        shorter = metadata.model_copy(update={"summary": None})
        if not is_full(error) or not any(_written_over(path, each) for each in (metadata, shorter)):
            raise


def _written_over(path: Path, metadata: RunMetadata) -> bool:
    """Whether the file has taken the text, in the room that it has on the disk already."""
    text = metadata.to_json()
    try:
        with path.open("r+b", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if len(text) > size:
                return False
            file.write(text.ljust(size))
            sync_file(file.fileno(), path)
    except OSError:
        return False
    return True


def read_metadata(directory: Path) -> RunMetadata | None:
    """What stands in the directory, or None.

    Raises:
        NewerVersionError: A newer release wrote it.
        StoreError: The file is damaged, or something else.
    """
    text = _read(directory / METADATA)
    return None if text is None else parse_metadata(text, directory / METADATA)


def find_runs(folder: Path) -> list[Path]:
    """The run directories in a folder, or the folder itself if it is one."""
    if (folder / METADATA).is_file():
        return [folder]
    found = {path.parent for path in folder.rglob(METADATA)}
    return sorted(path for path in found if path.name != _COPIES)


def read_owner(directory: Path) -> Owner | None:
    """Whose results the directory holds, or None where it has no file.

    Raises:
        NewerVersionError: A newer release wrote it.
        StoreError: The file is not valid JSON.
    """
    text = _read(directory / METADATA)
    return None if text is None else parse_owner(text, directory / METADATA)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise damaged(path, error) from error
