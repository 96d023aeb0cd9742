"""``run_metadata.json`` of a run directory: written, read, and asked whose the directory is."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lm_eval_so.runner.errors import ForeignRunError, StoreError
from lm_eval_so.runner.masking.options import shown
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.store.files import is_full, replace_file, sync_file
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.run_metadata import (
    Owner,
    RunMetadata,
    damaged,
    parse_metadata,
    parse_owner,
)

METADATA = "run_metadata.json"
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


def check_owner(
    directory: Path, identity: Mapping[str, Any], redactor: Redactor | None = None
) -> None:
    """Makes sure that the directory is new, or belongs to the same identity.

    Compared is what may be written; earlier versions wrote more.

    Raises:
        ForeignRunError: It holds something else; the message names the keys that differ.
        NewerVersionError: A newer release wrote it.
    """
    owner = read_owner(directory)
    if owner is None:
        if _holds_results(directory / RESULTS):
            raise ForeignRunError(
                f"{directory} holds a {RESULTS} but no {METADATA}, so whose it is cannot be told; "
                "choose another output_dir"
            )
        return
    public = (redactor or Redactor()).data
    try:
        differing = _differences(public(shown(owner.identity)), public(shown(identity)), "")
    except RecursionError as error:
        raise damaged(directory / METADATA, "its identity is nested too deep") from error
    if differing:
        raise ForeignRunError(
            f"{directory} belongs to another configuration: {'; '.join(differing)}; choose another "
            "output_dir, or leave it out"
        )


def _holds_results(path: Path) -> bool:
    """Whether there is a line; an empty file is what a command left that went no further."""
    return path.exists() and path.stat().st_size > 0


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str) -> list[str]:
    found: list[str] = []
    for key in sorted({*old, *new}):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            found += _differences(before, now, f"{prefix}{key}.")
        elif before != now:
            found.append(f"{prefix}{key} is {before!r} there and {now!r} here")
    return found
