"""The page of runs that have ended, kept between two commands: it is there at once."""

import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from lm_eval_so._version import __version__
from lm_eval_so.report.blocks import read_rows
from lm_eval_so.report.json_text import json_bytes
from lm_eval_so.report.rows import Rows, Slot
from lm_eval_so.report.run_index import RunIndex, is_replaced
from lm_eval_so.report.view.cache import cached_path, read_cached, write_cached

_FORMAT = 1
_WORTH_IT = 20_000
"""Rows; of fewer the page is made at once."""


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
    columns: bytes
    blocks: int
    source: Source


class KeptPage:
    """Keeps the page of some runs.

    Args:
        folder: Where.
        run_dirs: The runs, with all links resolved.
        key: The state of their files: what is kept is of that state, or is not used.
    """

    def __init__(self, folder: Path, run_dirs: Sequence[Path], key: Sequence[Any]) -> None:
        self._path = cached_path(folder, run_dirs, ".page")
        self._sign = json.loads(json.dumps([_FORMAT, __version__, sys.byteorder, key]))

    def read(self, indexes: Sequence[RunIndex]) -> Snapshot | None:
        """The page; None where there is none of this state.

        Args:
            indexes: Of the runs.
        """
        return read_cached(self._path, partial(self._read, indexes))

    def keep(self, snapshot: Snapshot, rows: Rows, block_rows: int) -> None:
        """Writes the page where that is worth it."""
        if len(rows) >= _WORTH_IT:
            write_cached(self._path, partial(self._write, snapshot, rows, block_rows))

    def _write(self, snapshot: Snapshot, rows: Rows, block_rows: int, file: BinaryIO) -> None:
        header = {
            "sign": self._sign,
            "revision": snapshot.revision,
            "manifest": len(snapshot.manifest),
            "columns": len(snapshot.columns),
            "blocks": snapshot.blocks,
            "block_rows": block_rows,
            "slots": rows.slots,
            "rows": len(rows),
        }
        file.write(json.dumps(header).encode() + b"\n")
        file.write(snapshot.manifest)
        file.write(snapshot.columns)
        file.writelines(rows.places)

    def _read(self, indexes: Sequence[RunIndex], file: BinaryIO) -> Snapshot | None:
        header = json.loads(file.readline())
        if header["sign"] != self._sign:
            return None
        manifest, columns = file.read(header["manifest"]), file.read(header["columns"])
        rows = Rows([Slot(*slot) for slot in header["slots"]])
        for places in rows.places:
            places.fromfile(file, header["rows"])
        block_rows = header["block_rows"]
        source = Source(indexes, partial(_block, indexes, rows, block_rows))
        return Snapshot(header["revision"], manifest, columns, header["blocks"], source)


def inodes_of(indexes: Sequence[RunIndex]) -> list[int | None]:
    """Which files were read."""
    return [index.stamp and index.stamp.inode for index in indexes]


def _block(indexes: Sequence[RunIndex], rows: Rows, block_rows: int, number: int) -> bytes:
    first = number * block_rows
    wanted = range(first, min(first + block_rows, len(rows)))
    return json_bytes(read_rows(indexes, rows, wanted, lambda _slot, _row: {}))
