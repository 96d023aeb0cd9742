"""The formats of datasets, by name and by the end of a file's name."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lm_eval_so.runner.dataset.base import Reader
from lm_eval_so.runner.dataset.jsonl import JsonlReader


class Format(NamedTuple):
    """A format of datasets.

    Attributes:
        suffixes: Ends of the names of such files.
        reader: Makes the reader of a file.
    """

    suffixes: tuple[str, ...]
    reader: Callable[[Path], Reader]


FORMATS: dict[str, Format] = {
    "jsonl": Format((".jsonl", ".jsonl.gz"), JsonlReader),
}
"""By name. In a directory, the first one whose file is there is read."""


def suffixes() -> list[str]:
    """The ends of the names of all files that can be read."""
    return [suffix for known in FORMATS.values() for suffix in known.suffixes]


def suffix_of(path: Path) -> str | None:
    """The known end of the file's name, the longest one; None where there is none."""
    return max(filter(path.name.endswith, suffixes()), key=len, default=None)


def reader_of(path: Path) -> Reader:
    """The reader of a file whose suffix is known."""
    suffix = suffix_of(path)
    return next(known.reader(path) for known in FORMATS.values() if suffix in known.suffixes)
