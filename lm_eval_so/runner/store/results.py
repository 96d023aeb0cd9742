"""``run_results.jsonl``: appended to while the run goes on, put in order at its end."""

import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from lm_eval_so.runner.errors import LostLinesError, StoreError
from lm_eval_so.runner.host.private import file_mode
from lm_eval_so.runner.store.files import reading, unsynced, unwritable
from lm_eval_so.runner.store.line import Whole
from lm_eval_so.runner.store.stored_line import (
    LinePlace,
    StoredLine,
    content,
    contents,
    mark_of,
    stored_line,
)

RESULTS = "run_results.jsonl"
_BLOCK = 1 << 16


See = Callable[[Whole], None]


class _Seen(NamedTuple):
    """What `ResultsFile.scan` went through: the file's state before, and its lines, all whole."""

    state: tuple[int, int]
    lines: int


class ResultsFile:
    """The results of one run. One process and one thread write to it; another may sync it.

    The opened file is read and written, even if its name points to another one meanwhile.

    Args:
        path: Of the file, which is made if there is none. `mend` comes before the first `append`.

    Raises:
        StoreError: The file cannot be opened or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        binary = getattr(os, "O_BINARY", 0)
        self._descriptor = self._for_reading = -1
        self._torn = self._unsynced = False
        self._syncing = threading.Lock()
        self._refused: StoreError | None = None
        self._seen: _Seen | None = None
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | binary
            self._descriptor = os.open(path, flags, file_mode())
            self._for_reading = os.open(path, os.O_RDONLY | binary)
            self._size = os.fstat(self._descriptor).st_size
        except OSError as error:
            self.close()
            raise unwritable(path, error) from error

    def scan(self, see: See | None = None) -> Iterator[StoredLine]:
        """The complete lines; damaged ones are skipped.

        Args:
            see: Gets the content of each of them.

        Raises:
            NewerVersionError: A newer release wrote one of them.
        """
        self._seen = None
        state, lines, damaged = self._state(), 0, 0
        with self._reader() as file:
            for offset, found in contents(file, self.path):
                if found is None:
                    damaged += 1
                    continue
                lines += 1
                if see is not None:
                    see(found)
                yield stored_line(offset, found)
        if see is not None and not damaged:
            self._seen = _Seen(state, lines)

    def mend(self) -> None:
        """Ends the file with a newline: a last line that is torn goes, a whole one stays.

        Raises:
            NewerVersionError: A newer release wrote the last line.
            StoreError: The file cannot be read or written.
        """
        with self._reader() as file:
            start = _last_line_start(file, self._size)
            file.seek(start)
            tail = file.read()
        try:
            if tail and content(tail, self.path):
                self._size += os.write(self._descriptor, b"\n")
            elif tail:
                os.ftruncate(self._descriptor, start)
                self._size = start
        except OSError as error:
            raise unwritable(self.path, error) from error

    def append(self, line: bytes) -> int:
        """Writes a line with one system call, and returns its offset.

        Raises:
            StoreError: The disk is full or gone; if possible, no part of the line is left
                behind.
        """
        data, written = (b"\n" if self._torn else b"") + line + b"\n", 0
        try:
            while written < len(data):  # if only a part fits, the next call says why
                written += os.write(self._descriptor, data[written:] if written else data)
        except BaseException as error:
            self._cut(written)
            if isinstance(error, OSError):
                raise unwritable(self.path, error) from error
            raise  # a signal while the disk was blocked
        self._torn, self._unsynced = False, True
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        expected, self._size = self._size + len(data), end
        offset = end - len(line) - 1
        if end != expected and not self._is_start(offset):
            return self.append(line)  # the file was cut: our line is the tail of a torn one
        return offset

    def sync(self) -> None:
        """Makes the appended lines survive a power cut.

        Raises:
            StoreError: The disk refuses. Its content is unknown from then on, so every later call
                raises too: the system reports a refusal only once.
        """
        with self._syncing:  # one that another thread has begun is waited for
            if self._refused is not None:
                raise self._refused
            if not self._unsynced:
                return
            self._unsynced = False  # first: lines appended meanwhile are synced the next time
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                if self._descriptor < 0:
                    return  # closed meanwhile
                self._refused = unsynced(self.path, error)
                raise self._refused from error

    def line_at(self, offset: int) -> bytes:
        """The line that starts at the offset, with its newline."""
        with self._reader() as file:
            file.seek(offset)
            return file.readline()

    def lines_at(self, places: Iterable[LinePlace]) -> Iterator[tuple[bytes, Whole]]:
        """The lines at these places, each with its newline, and their content.

        Raises:
            LostLinesError: One of them is missing: the file counts, not the memory.
        """
        with self._reader() as file:
            for offset, mark in places:
                file.seek(offset)  # costs nothing if it is in the buffer already
                line = file.readline()
                fields = content(line, self.path) if line.endswith(b"\n") else None
                if fields is None or mark_of(fields["sample_id"], fields["request_key"]) != mark:
                    raise LostLinesError(
                        f"{self.path} has lost results that were written to it (the line at byte "
                        f"{offset} is gone)"
                    )
                yield line, fields

    def is_as_seen(self, places: Iterable[LinePlace]) -> bool:
        """Whether `scan` has shown just these lines, in this order, and the file is as it was."""
        seen, last, lines = self._seen, -1, 0
        if seen is None or seen.state != self._state() or not self._is_at_its_path():
            return False
        for offset, _ in places:
            if offset < last:
                return False
            last, lines = offset, lines + 1
        return lines == seen.lines

    def is_just(self, places: Iterable[LinePlace]) -> bool:
        """Whether the file has exactly these lines, in this order."""
        end = 0
        with self._reader() as file:
            for offset, _ in places:
                if offset != end:
                    return False
                end += len(file.readline())
        return end == os.fstat(self._descriptor).st_size and self._is_at_its_path()

    def close(self) -> None:
        """Closes the file."""
        descriptors = self._descriptor, self._for_reading
        self._descriptor = self._for_reading = -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)

    @contextmanager
    def _reader(self) -> Iterator[BinaryIO]:
        with reading(self.path):
            os.lseek(self._for_reading, 0, os.SEEK_SET)
            raw = io.FileIO(self._for_reading, closefd=False)
            yield io.BufferedReader(raw, 1 << 18)

    def _state(self) -> tuple[int, int]:
        """Changes when the file does: its size, and the time of the last change."""
        found = os.fstat(self._descriptor)
        return found.st_size, found.st_mtime_ns

    def _is_at_its_path(self) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except OSError:
            return False

    def _is_start(self, offset: int) -> bool:
        """Whether a line starts there."""
        if offset == 0:
            return True
        with self._reader() as file:
            file.seek(offset - 1)
            return file.read(1) == b"\n"

    def _cut(self, written: int) -> None:
        """Removes the written part of a line, or notes that it is still there."""
        if not written:
            return
        try:
            end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            os.ftruncate(self._descriptor, end - written)
        except OSError:
            self._torn = True


def scan_lines(path: Path) -> Iterator[StoredLine]:
    """The complete lines of a file; damaged lines and a missing file are skipped.

    Raises:
        NewerVersionError: A newer release wrote one of them.
    """
    if not path.exists():
        return
    with reading(path), path.open("rb", buffering=1 << 18) as file:
        for offset, found in contents(file, path):
            if found is not None:
                yield stored_line(offset, found)


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
