"""Images, sounds and documents that samples name as ``file:`` beside the dataset."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from functools import lru_cache
from os.path import realpath
from pathlib import Path
from typing import Any

from lm_eval_so.runner.dataset.base import Pass, Place, Reader, Record, opened_at, seekable
from lm_eval_so.runner.models.media import MARK, SCHEME, FileReference, file_references, local_path

_SIGN = b'"file:'
_REMEMBERED = 1 << 16  # digests of files that have not changed


class WithFiles:
    """A `Reader` whose samples name each file with the SHA-256 of its content.

    So a file that is missing is found by the check, and another content is another question.

    Args:
        reader: Reads the samples.
        folder: Where their paths begin; None if the dataset is not in a folder.
        allow_outside: Whether files may be outside the folder.

    Attributes:
        found_any: Whether a sample that was read names a file.
    """

    def __init__(self, reader: Reader, folder: Path | None, *, allow_outside: bool) -> None:
        self._reader = reader
        self._folder = folder
        self._allow_outside = allow_outside
        self.found_any = False

    @property
    def name(self) -> str:
        """That of the other reader."""
        return self._reader.name

    @property
    def can_seek(self) -> bool:
        """Whether the other reader can."""
        return seekable(self._reader) is not None

    def opened(self) -> AbstractContextManager[Pass]:
        """Opens the other reader."""
        return self._opened(None)

    def opened_at(self, place: Place) -> AbstractContextManager[Pass]:
        """Opens the other reader there."""
        return self._opened(place)

    @contextmanager
    def _opened(self, place: Place | None) -> Iterator[Pass]:
        with opened_at(self._reader, place) as reading:
            yield reading._replace(records=self._records(reading.records))

    def _records(self, records: Iterator[Record]) -> Iterator[Record]:
        for record in records:
            value = record.value
            if isinstance(value, bytes) and _SIGN not in value:  # most samples are text
                yield record
            else:
                yield self._found(record)

    def _found(self, record: Record) -> Record:
        sample = _sample(record.value)
        messages = sample.get("messages")
        if not isinstance(messages, list) or not any(file_references(messages)):
            return record
        self.found_any = True
        try:
            messages = deepcopy(messages)
            for reference in file_references(messages):
                digest = self._digest(reference)
                reference.holder[reference.key] = f"{SCHEME}{reference.path}{MARK}{digest}"
        except ValueError as fault:
            return record._replace(value=fault)
        except RecursionError:
            return record._replace(value=ValueError("nested too deep"))
        return record._replace(value={**sample, "messages": messages})

    def _digest(self, reference: FileReference) -> str:
        named = reference.path
        if self._folder is None:
            raise ValueError(f"file {named!r}: a dataset that is no file has none beside it")
        path = local_path(self._folder, named)
        is_inside = Path(realpath(path)).is_relative_to(realpath(self._folder))
        if not (is_inside or self._allow_outside):
            raise ValueError(
                f"file {named!r} is outside the folder of the dataset; if that is meant, type "
                "dataset.allow_outside=true"
            )
        try:
            if not path.is_file():
                raise ValueError(f"file {named!r} does not exist in {self._folder}")
            stat = path.stat()
            return _sha256(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            raise ValueError(f"file {named!r} cannot be read: {error.strerror}") from error


def _sample(value: object) -> Mapping[str, Any]:
    """What a record holds; nothing if it cannot be read, which the check tells."""
    if isinstance(value, bytes):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


@lru_cache(_REMEMBERED)
def _sha256(path: Path, *_stamp: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
