"""The index of one results file, kept between two commands."""

from functools import partial
from pathlib import Path

from lm_eval_so.report.kept_index import read_index, write_index
from lm_eval_so.report.run_index import RunIndex
from lm_eval_so.report.view.cache import cached_path, read_cached, write_cached

_WORTH_IT = 2_000
"""Lines; fewer are read anew at once."""
_GROWN = 1.25
"""While a file grows, its index is written anew when it has grown by this factor."""


class Sidecar:
    """Keeps the index of a results file.

    Args:
        folder: Where; None keeps nothing.
        run_dir: The run directory, with all links resolved.
    """

    def __init__(self, folder: Path | None, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._path = folder and cached_path(folder, [run_dir], ".index")
        self._written = 0
        self._inode: int | None = None

    def read(self) -> RunIndex | None:
        """The index, if it is that of the results file as it is, or of its beginning."""
        if self._path is None:
            return None
        index = read_cached(self._path, partial(read_index, self._run_dir))
        if index is not None and index.stamp is not None:
            self._written, self._inode = len(index), index.stamp.inode
        return index

    def keep(self, index: RunIndex, *, is_final: bool) -> None:
        """Writes the index where that is worth it.

        Args:
            index: Of the results file.
            is_final: Whether nothing writes to the file any more.
        """
        lines, inode = len(index), index.stamp and index.stamp.inode
        wanted = self._written * (1 if is_final else _GROWN)
        if (
            self._path is not None
            and lines >= _WORTH_IT
            and (inode != self._inode or lines > wanted)
            and write_cached(self._path, partial(write_index, index))
        ):
            self._written, self._inode = lines, inode
