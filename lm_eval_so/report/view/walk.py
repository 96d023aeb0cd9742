"""Run directories and records of sweeps in a folder; links that lead out are not followed."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.store.parts import PARTS, SHARDS
from lm_eval_so.runner.sweep.record import RECORD

_COPIES = "artifacts"  # where MLflow keeps a run's files, among them copies of ours
_MOST_FOLDERS = 50_000
"""Folders that are looked into: one who says ``view /`` gets an answer too."""


class Walked(NamedTuple):
    """Folders that hold something, with all links resolved.

    Attributes:
        links_out: Links that lead out of the folder.
        is_whole: Whether all of the folder was looked into.
    """

    runs: list[Path]
    sweeps: list[Path]
    links_out: list[Path]
    is_whole: bool


def walk(root: Path) -> Walked:
    """Looks into a folder at any depth.

    A link to a folder within it is not followed either: what it leads to is found in its own place.

    Args:
        root: With all links resolved.
    """
    found = Walked([], [], [], is_whole=True)
    owed, looked = [root], 0
    while owed:
        if looked == _MOST_FOLDERS:
            return found._replace(is_whole=False)
        looked += 1
        folder = owed.pop()
        entries = list(_entries(folder))
        is_in_parts = any(entry.name == SHARDS for entry in entries)
        for entry in entries:
            if entry.is_symlink() and not is_within(Path(entry.path), root):
                found.links_out.append(Path(entry.path))
            elif entry.name == METADATA:
                found.runs.append(folder)
            elif entry.name == RECORD:
                found.sweeps.append(folder)
            elif is_in_parts and entry.name == PARTS:
                continue  # very many files, and no run
            elif _is_folder(entry) and not entry.name.startswith(".") and entry.name != _COPIES:
                owed.append(Path(entry.path))
    return found


def is_within(path: Path, root: Path) -> bool:
    """Whether a path, with all links resolved, is below the folder."""
    with suppress(OSError):
        return Path(os.path.realpath(path)).is_relative_to(root)
    return False


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder; nothing in one that is gone, or that we may not read."""
    with suppress(OSError), os.scandir(folder) as entries:
        yield from entries


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with suppress(OSError):
        return entry.is_dir(follow_symlinks=False)
    return False
