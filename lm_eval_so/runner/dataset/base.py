"""The seam of the dataset formats: a `Reader` gives records, and all the rest is shared.

A new format is one file with a `Reader`, and one line in `registry`.
"""

import gzip
import io
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from lm_eval_so.runner.errors import DatasetError

_BUFFER = 1 << 18  # bytes


class Record(NamedTuple):
    """One sample as it stands in the dataset, before it is validated.

    Attributes:
        where: What an error names: ``data/test.jsonl:7``, ``sheet 'Tests' row 7``.
        value: The keys of a `TestSample`, as a mapping or as the UTF-8 text of a JSON object; or a
            ValueError that says in one sentence what is wrong with the record.
    """

    where: str
    value: Mapping[str, Any] | bytes | ValueError


class Pass(NamedTuple):
    """One reading of a dataset, from its first record on.

    Attributes:
        records: Read as they are asked for.
        stamp: Changes when what is being read changes; it is compared with ``==``, and asked for
            often.
    """

    records: Iterator[Record]
    stamp: Callable[[], object]


class Reader(Protocol):
    """A dataset of one format. It can be opened any number of times."""

    @property
    def name(self) -> str:
        """What errors call the dataset: a path, mostly."""

    def opened(self) -> AbstractContextManager[Pass]:
        """Starts at the first record.

        Raises:
            DatasetError: It cannot be read; also while the records are.
        """


class FileReader(ABC):
    """A `Reader` of one file, which may be packed with gzip; a format adds `records`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The path, as it was given."""
        return str(self.path)

    @abstractmethod
    def records(self, file: IO[bytes]) -> Iterator[Record]:
        """The records of the open file, one at a time."""

    @contextmanager
    def opened(self) -> Iterator[Pass]:
        """Opens the file; what cannot be read or decoded is a DatasetError."""
        try:
            with open_file(self.path) as file:
                yield Pass(self.records(file), lambda: stamp_of(file))
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DatasetError(f"dataset {self.path} cannot be read: {reason}") from error


class Stamp(NamedTuple):
    """What an open file is known by, as long as nobody changes it."""

    device: int
    inode: int
    size: int
    modified_ns: int


def open_file(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked if its name ends with ``.gz``."""
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.open(path))
    return path.open("rb", buffering=_BUFFER)


def stamp_of(file: IO[bytes]) -> Stamp:
    """The stamp that the file has now; of a packed one, that of the file on the disk."""
    found = os.fstat(file.fileno())
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
