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
from typing import IO, Any, NamedTuple, Protocol

from lm_eval_so.runner.config.schema import DatasetConfig
from lm_eval_so.runner.errors import DatasetError

_BUFFER = 1 << 18  # bytes


class Record(NamedTuple):
    """One sample as it is in the dataset, before it is validated.

    Attributes:
        where: Its place, for errors: ``data/test.jsonl:7``, ``sheet 'Tests' row 7``.
        value: The keys of a `TestSample` (of a table: a row, by column), as a mapping or as a JSON
            object in UTF-8; or a ValueError that says in one sentence why the record cannot be
            read.
    """

    where: str
    value: Mapping[str, Any] | bytes | ValueError


class Pass(NamedTuple):
    """One pass over a dataset, from its first record.

    Attributes:
        records: The records, read lazily.
        stamp: Returns a value that changes when the dataset changes. It is called often, and
            compared with ``==``.
    """

    records: Iterator[Record]
    stamp: Callable[[], object]


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

    @contextmanager
    def opened(self) -> Iterator[Pass]:
        """Opens the file; a file that cannot be read or decoded raises a DatasetError."""
        try:
            with open_file(self.path) as file:
                yield Pass(self.records(file), lambda: stamp_of(file))
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DatasetError(f"dataset {self.path} cannot be read: {reason}") from error


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
