"""The lines of a results file: where each one is, and whose."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.store.line import Whole, read_whole


class StoredLine(NamedTuple):
    """A complete line of the file, and where it starts."""

    offset: int
    sample_id: str
    request_key: str
    ok: bool


class LinePlace(NamedTuple):
    """Where a line was written, and the mark that identifies it: `mark_of` its question."""

    offset: int
    mark: int


def mark_of(sample_id: object, request_key: object) -> int:
    """The number that identifies the line of a question; valid in this process only."""
    return HashIndex.code((sample_id, request_key))


def contents(file: BinaryIO, path: Path) -> Iterator[tuple[int, Whole | None]]:
    """Where each line starts, and its content; None of one that is damaged.

    Raises:
        NewerVersionError: A newer release wrote one of them.
    """
    offset = 0
    for line in file:
        yield offset, content(line, path)
        offset += len(line)


def content(line: bytes, path: Path) -> Whole | None:
    """The content of a line; None if it is damaged.

    Raises:
        NewerVersionError: A newer release wrote it.
    """
    try:
        return read_whole(line, path)
    except ValueError:
        return None


def stored_line(offset: int, found: Whole) -> StoredLine:
    """What a ledger keeps of the line that starts at an offset."""
    return StoredLine(offset, found["sample_id"], found["request_key"], found["status"] == "ok")
