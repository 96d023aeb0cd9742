"""What a page shows, and what is kept of it between two commands, so that it is there at once."""

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from lm_eval_so._version import __version__
from lm_eval_so.report.page_index import PageIndex
from lm_eval_so.report.rows import Rows, Slot
from lm_eval_so.report.run_index import RunIndex, is_replaced
from lm_eval_so.report.view.cache import cached_path, read_cached, write_cached

_FORMAT = 2
_WORTH_IT = 20_000
"""Rows; fewer are joined at once."""
_OF_WHICH = ("question", "repeat", "status")
"""The columns of which rows are made."""


class Source:
    """Reads the rows of a board, as long as the files are those that its indexes were made of.

    Args:
        indexes: Of its runs.
        block: The rows of a block, by its number, as JSON.

    Attributes:
        inodes: Of the results files; None where there was none.
    """

    def __init__(self, indexes: Sequence[RunIndex], block: Callable[[int], bytes]) -> None:
        self.indexes = indexes
        self.block = block
        self.inodes = inodes_of(indexes)

    @property
    def is_over(self) -> bool:
        """Whether one of the files was replaced since, or is gone."""
        return any(
            inode is not None and is_replaced(index, inode)
            for index, inode in zip(self.indexes, self.inodes, strict=True)
        )


class Snapshot(NamedTuple):
    """A board at one moment; its manifest and its columns belong together.

    Attributes:
        revision: Grows with each.
        manifest: As JSON.
        columns: The index of the page.
        blocks: How many there are.
        source: Reads them. Blocks of a snapshot can be had from a later one with the same source,
            since rows are only added.
    """

    revision: int
    manifest: bytes
    columns: PageIndex
    blocks: int
    source: Source


class Joined(NamedTuple):
    """What takes long to make of the indexes of some runs.

    Attributes:
        rows: Which line is in which row.
        block_rows: Rows of each block but the last.
    """

    rows: Rows
    block_rows: int


class KeptPage:
    """Keeps how the runs of a page were joined.

    Args:
        folder: Where.
        run_dirs: The runs, with all links resolved.
    """

    def __init__(self, folder: Path, run_dirs: Sequence[Path]) -> None:
        self._path = cached_path(folder, run_dirs, ".page")

    def read(self, indexes: Sequence[RunIndex]) -> Joined | None:
        """What was kept; None where it is not of these lines, or of the first ones.

        Args:
            indexes: Of the runs.
        """
        return read_cached(self._path, partial(_read, indexes))

    def keep(self, joined: Joined, indexes: Sequence[RunIndex]) -> None:
        """Writes what was joined where that is worth it."""
        if len(joined.rows) >= _WORTH_IT:
            write_cached(self._path, partial(_write, joined, indexes))


def _write(joined: Joined, indexes: Sequence[RunIndex], file: BinaryIO) -> None:
    rows = joined.rows
    header = {
        "sign": _sign(indexes, rows.lines),
        "block_rows": joined.block_rows,
        "slots": rows.slots,
        "lines": rows.lines,
        "sizes": rows.sizes,
    }
    file.write(json.dumps(header).encode() + b"\n")
    rows.write(file)


def _read(indexes: Sequence[RunIndex], file: BinaryIO) -> Joined | None:
    header = json.loads(file.readline())
    if header["sign"] != _sign(indexes, header["lines"]):
        return None
    slots = [Slot(*slot) for slot in header["slots"]]
    rows = Rows.read(slots, header["lines"], header["sizes"], file)
    return Joined(rows, header["block_rows"])


def _sign(indexes: Sequence[RunIndex], lines: Sequence[int]) -> list[Any]:
    """Is another one where something else would be joined."""
    digest = hashlib.blake2b(digest_size=16)
    for index, count in zip(indexes, lines, strict=True):
        for name in _OF_WHICH:
            with memoryview(index.columns[name]) as column:
                digest.update(column[:count])
        digest.update(b"%d of %d;" % (count, min(len(index), count)))
    return [_FORMAT, __version__, sys.byteorder, digest.hexdigest()]


def inodes_of(indexes: Sequence[RunIndex]) -> list[int | None]:
    """Which files were read."""
    return [index.stamp and index.stamp.inode for index in indexes]
