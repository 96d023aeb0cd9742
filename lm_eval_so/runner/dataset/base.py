"""The seam for dataset formats: a `Reader` yields records; everything else is shared.

A new format is one file with a `Reader`, and one line in `registry`. A format of tables yields
rows, which `mapped` turns into samples.
"""

import gzip
import io
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, runtime_checkable

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.errors import DatasetError

PACKED = (".gz", ".zst")
"""Suffixes of files that `open_file` decompresses."""
_BUFFER = 1 << 18  # bytes


class Record(NamedTuple):
    """One sample as it is in the dataset, before it is validated.

    Attributes:
        where: Its place, for errors: ``data/test.jsonl:7``, ``sheet 'Tests' row 7``.
        value: The keys of a `TestSample` (of a table: a row, by column), as a mapping or as a JSON
            object in UTF-8; or a ValueError that says in one sentence why the record cannot be
            read.
        follows: Whether it is what it is because of earlier records, so that a reading that begins
            behind those would make another sample of it.
    """

    where: str
    value: Mapping[str, Any] | bytes | ValueError
    follows: bool = False


class Place(NamedTuple):
    """A record at which the reading of a dataset can begin.

    Attributes:
        file: Index of the file, among those of the dataset.
        at: What the reader finds the record by: a byte of the file, or a row group.
        number: Of the record in the file, as its errors count: its line or its row, from 1.
    """

    file: int
    at: int
    number: int


START = Place(file=0, at=0, number=1)
"""Of every file."""


class Pass(NamedTuple):
    """One pass over a dataset, from its first record or from a `Place`.

    Attributes:
        records: The records, read lazily.
        stamp: Returns a value that changes when the dataset changes. It is called often, and
            compared with ``==``.
        place: Returns the place of the record that was read last; None where no reading can begin.
    """

    records: Iterator[Record]
    stamp: Callable[[], object]
    place: Callable[[], Place | None] = lambda: None


class Reader(Protocol):
    """A dataset of one format. It can be opened any number of times."""

    @property
    def name(self) -> str:
        """The name of the dataset in errors, usually its path."""

    def opened(self) -> AbstractContextManager[Pass]:
        """Opens the dataset at its first record.

        Raises:
            DatasetError: It cannot be read; also while the records are.
        """


@runtime_checkable
class Seekable(Reader, Protocol):
    """A dataset that may be read from a place in its middle; `seekable` says whether it can be."""

    @property
    def can_seek(self) -> bool:
        """Whether these files can be, as they are compressed and encoded."""

    def opened_at(self, place: Place) -> AbstractContextManager[Pass]:
        """As ``opened``, but from this record on; without records where it is no longer there.

        Raises:
            DatasetError: As ``opened``.
        """


def seekable(reader: Reader) -> Seekable | None:
    """The reader, if it can begin at the places that it gives; else None."""
    return reader if isinstance(reader, Seekable) and reader.can_seek else None


def opened_at(reader: Reader, place: Place | None) -> AbstractContextManager[Pass]:
    """Opens a dataset at a place; at its first record if that is None."""
    if place is None:
        return reader.opened()
    found = seekable(reader)
    if found is None:
        raise ValueError(f"{reader.name} cannot be read from its middle")
    return found.opened_at(place)


class FileReader(ABC):
    """A `Reader` of one file, which may be compressed; a format adds `records`.

    Args:
        path: The file.
        config: What the user says about its format; the defaults if None.
    """

    def __init__(self, path: Path, config: DatasetConfig | None = None) -> None:
        self.path = path
        self.config = config or DatasetConfig(path=path)

    @property
    def name(self) -> str:
        """The path as given."""
        return str(self.path)

    @abstractmethod
    def records(self, file: IO[bytes]) -> Iterator[Record]:
        """The records of the open file, one at a time."""

    def opened(self) -> AbstractContextManager[Pass]:
        """Opens the file; a file that cannot be read or decoded raises a DatasetError."""
        return self._opened()

    @contextmanager
    def _opened(self) -> Iterator[Pass]:
        with self._file() as file:
            yield Pass(self.records(file), lambda: stamp_of(file))

    @contextmanager
    def _file(self) -> Iterator[IO[bytes]]:
        try:
            with open_file(self.path) as file:
                yield file
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DatasetError(f"dataset {self.path} cannot be read: {reason}") from error


class Cursor:
    """The place of the record that was read last; a reader moves it on."""

    __slots__ = ("at", "number")

    def __init__(self, place: Place = START) -> None:
        self.at, self.number = place.at, place.number

    def place(self) -> Place:
        """Where the cursor is; of one file, so the first."""
        return Place(0, self.at, self.number)


class SeekableFileReader(FileReader):
    """A `Seekable` of one file; a format adds `records_from`."""

    @property
    def can_seek(self) -> bool:
        """Whether it can; a format may know better."""
        return True

    @abstractmethod
    def records_from(self, file: IO[bytes], cursor: Cursor) -> Iterator[Record]:
        """The records of the open file from the cursor on, which stands at each that is read."""

    def records(self, file: IO[bytes]) -> Iterator[Record]:
        """All records."""
        return self.records_from(file, Cursor())

    def opened(self) -> AbstractContextManager[Pass]:
        """Opens the file; raises as that of `FileReader`."""
        return self.opened_at(START)

    @contextmanager
    def opened_at(self, place: Place) -> Iterator[Pass]:
        """Opens the file at a record; raises as that of `FileReader`."""
        cursor = Cursor(place)
        with self._file() as file:
            found = Pass(self.records_from(file, cursor), lambda: stamp_of(file))
            yield found._replace(place=cursor.place) if self.can_seek else found


class Stamp(NamedTuple):
    """Identifies the content of an open file without reading it."""

    device: int
    inode: int
    size: int
    modified_ns: int


def open_file(path: Path) -> IO[bytes]:
    """Opens a file as bytes; decompresses it if its name ends with ``.gz`` or ``.zst``."""
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.open(path))
    if path.suffix == ".zst":
        from lm_eval_so.runner.dataset.zstd import ZstdFile  # noqa: PLC0415 - an extra

        return io.BufferedReader(ZstdFile(path), _BUFFER)
    return path.open("rb", buffering=_BUFFER)


def stamp_of(file: IO[bytes]) -> Stamp:
    """The current stamp of the file; for a compressed one, that of the file on disk."""
    found = os.fstat(file.fileno())
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
