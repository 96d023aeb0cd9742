"""``run_results.jsonl``: appended to while the run goes on, put in order at its end."""

import os
from collections.abc import Iterable, Iterator
from itertools import tee
from pathlib import Path
from typing import BinaryIO, NamedTuple

import orjson

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.private import file_mode
from lm_eval_so.runner.store.files import unwritable
from lm_eval_so.runner.store.line import read_line

RESULTS = "run_results.jsonl"
_BLOCK = 1 << 16


class StoredLine(NamedTuple):
    """A whole line of the file, and where it starts."""

    offset: int
    sample_id: str
    request_key: str
    ok: bool


class ResultsFile:
    """The results of one run. One process and one thread write to it.

    Raises:
        StoreError: The file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(
                path,
                os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0),
                file_mode(),
            )
            self._size = os.fstat(self._descriptor).st_size
            self._mend()
        except OSError as error:
            raise unwritable(path, error) from error
        self._unsynced = False

    def scan(self) -> Iterator[StoredLine]:
        """The lines that are whole; damage is passed over."""
        return scan_lines(self.path)

    def append(self, line: bytes) -> int:
        """Writes a line with one system call, and returns its offset.

        Raises:
            StoreError: The disk is full or gone; no part of the line is left behind.
        """
        offset, data = self._size, line + b"\n"
        try:
            rest = data[os.write(self._descriptor, data) :]
            while rest:  # the disk had room for a part; the next call says why
                rest = rest[os.write(self._descriptor, rest) :]
        except BaseException as error:
            os.ftruncate(self._descriptor, offset)
            if isinstance(error, OSError):
                raise unwritable(self.path, error) from error
            raise  # a signal, while the disk did not answer
        self._size += len(data)
        self._unsynced = True
        return offset

    def sync(self) -> None:
        """Makes what was appended survive a power cut.

        Raises:
            StoreError: The disk refuses.
        """
        if not self._unsynced:
            return
        self._unsynced = False  # before: what is appended meanwhile counts for the next time
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._unsynced = True
            raise unwritable(self.path, error) from error

    def lines_at(self, offsets: Iterable[int]) -> Iterator[bytes]:
        """The lines that start there, each with its newline."""
        with self.path.open("rb", buffering=1 << 18) as file:
            for offset in offsets:
                file.seek(offset)  # costs nothing where the buffer holds it already
                yield file.readline()

    def is_just(self, offsets: Iterable[int]) -> bool:
        """Whether the file holds the lines at ``offsets``, in this order, and no others."""
        ours, lines = tee(offsets)
        end = 0
        for offset, line in zip(ours, self.lines_at(lines), strict=False):
            if offset != end:
                return False
            end += len(line)
        return end == self._size

    def close(self) -> None:
        """Gives the file back to the system."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _mend(self) -> None:
        """Ends the file with a newline: a last line that is torn goes, a whole one stays."""
        with self.path.open("rb") as file:
            start = _last_line_start(file, self._size)
            file.seek(start)
            tail = file.read()
        if tail and _read(start, tail):
            self._size += os.write(self._descriptor, b"\n")
        elif tail:
            os.ftruncate(self._descriptor, start)
            self._size = start


def scan_lines(path: Path) -> Iterator[StoredLine]:
    """The lines of a file that are whole; damage is passed over, and so is a missing file."""
    if not path.exists():
        return
    offset = 0
    with path.open("rb", buffering=1 << 18) as file:
        for line in file:
            found = _read(offset, line)
            if found:
                yield found
            offset += len(line)


def read_results(path: Path | str) -> Iterator[RunResult]:
    """The results of a run, one at a time.

    Args:
        path: ``run_results.jsonl``, or the run directory that holds it.

    Raises:
        StoreError: The file cannot be read, or a line is no RunResult.
    """
    file_path = Path(path) / RESULTS if Path(path).is_dir() else Path(path)
    try:
        with file_path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield _parse(file_path, number, line)
    except OSError as error:
        raise StoreError(f"results {file_path} cannot be read: {error.strerror}") from error


def _parse(path: Path, number: int, line: bytes) -> RunResult:
    try:
        return read_line(line)
    except ValueError as error:
        raise StoreError(f"{path}:{number}: no RunResult") from error


def _read(offset: int, line: bytes) -> StoredLine | None:
    try:
        fields = orjson.loads(line)
        found = StoredLine(
            offset, fields["sample_id"], fields["request_key"], fields["status"] == "ok"
        )
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    whole = isinstance(found.sample_id, str) and isinstance(found.request_key, str)
    return found if whole else None


def _last_line_start(file: BinaryIO, size: int) -> int:
    """Where the bytes after the last newline begin."""
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
