"""Several files that are one dataset."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path

from lm_eval_so.runner.dataset.base import (
    START,
    Cursor,
    Pass,
    Place,
    Reader,
    Record,
    Stamp,
    seekable,
)
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

    @property
    def can_seek(self) -> bool:
        """True: of a file that cannot be sought the records before are read, and no other file."""
        return True

    def opened(self) -> AbstractContextManager[Pass]:
        """Opens the first file when its first record is asked for; the stamp is that of all."""
        return self._opened(START)

    def opened_at(self, place: Place) -> AbstractContextManager[Pass]:
        """The same from a record on; the files before are not opened."""
        return self._opened(place)

    @contextmanager
    def _opened(self, place: Place) -> Iterator[Pass]:
        walk = _Walk(self._readers, place)
        yield Pass(walk.records(), self._stamp, walk.place)

    def _stamp(self) -> object:
        try:
            found = [path.stat() for path in self._paths]
        except OSError as error:
            raise DatasetError(f"dataset {self.name} cannot be read: {error.strerror}") from error
        return [Stamp(one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns) for one in found]


class _Walk:
    """One pass, which knows where it is."""

    def __init__(self, readers: Sequence[Reader], begin: Place) -> None:
        self._readers = readers
        self._begin = begin
        self._file = begin.file
        self._where: Callable[[], Place | None] = lambda: None

    def records(self) -> Iterator[Record]:
        begin = self._begin
        for file in range(begin.file, len(self._readers)):
            self._file = file
            yield from self._of_file(self._readers[file], begin)
            begin = START

    def place(self) -> Place | None:
        found = self._where()
        return found and found._replace(file=self._file)

    def _of_file(self, reader: Reader, begin: Place) -> Iterator[Record]:
        found = seekable(reader)
        if found is not None:
            with found.opened_at(begin) as reading:
                self._where = reading.place
                yield from reading.records
            return
        cursor = Cursor()  # its number counts the records
        self._where = cursor.place
        with reader.opened() as reading:
            records = islice(reading.records, begin.number - 1, None)
            for cursor.number, record in enumerate(records, begin.number):
                yield record
