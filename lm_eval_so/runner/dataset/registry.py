"""The dataset formats, by name and by file suffix."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.runner.dataset.base import Reader
from lm_eval_so.runner.dataset.jsonl import JsonlReader


class Format(NamedTuple):
    """A dataset format.

    Attributes:
        suffixes: Suffixes of its files.
        reader: Creates the reader of a file.
    """

    suffixes: tuple[str, ...]
    reader: Callable[[Path], Reader]


FORMATS: dict[str, Format] = {
    "jsonl": Format((".jsonl", ".jsonl.gz"), JsonlReader),
}
"""By name. In a directory, the first format with a ``test`` file is read."""


def suffixes() -> list[str]:
    """The suffixes of all formats."""
    return [suffix for known in FORMATS.values() for suffix in known.suffixes]


def suffix_of(path: Path) -> str | None:
    """The longest known suffix of the file's name; None if there is none."""
    return max(filter(path.name.endswith, suffixes()), key=len, default=None)


def reader_of(path: Path) -> Reader:
    """Creates the reader of a file with a known suffix."""
    suffix = suffix_of(path)
    return next(known.reader(path) for known in FORMATS.values() if suffix in known.suffixes)
