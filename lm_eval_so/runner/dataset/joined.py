"""Several files that are one dataset."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lm_eval_so.runner.dataset.base import Pass, Reader, Record, Stamp
from lm_eval_so.runner.errors import DatasetError


class Joined:
    """Reads files one after another, each of which is open only while it is read.

    Args:
        name: What the user calls them: a directory or a glob.
        paths: The files.
        readers: One for each.
    """

    def __init__(self, name: str, paths: Sequence[Path], readers: Sequence[Reader]) -> None:
        self.name = name
        self._paths = paths
        self._readers = readers

    @contextmanager
    def opened(self) -> Iterator[Pass]:
        """Opens the first file when its first record is asked for; the stamp is that of all."""
        yield Pass(self._records(), self._stamp)

    def _records(self) -> Iterator[Record]:
        for reader in self._readers:
            with reader.opened() as reading:
                yield from reading.records

    def _stamp(self) -> object:
        try:
            found = [path.stat() for path in self._paths]
        except OSError as error:
            raise DatasetError(f"dataset {self.name} cannot be read: {error.strerror}") from error
        return [Stamp(one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) for one in found]
