"""How many results a run has by now, for the list; a file that grew costs only what is new."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.hash_index import HashIndex
from lm_eval_so.runner.store.segments import segments

_PIECE = 1 << 24
"""Bytes that one look reads at most: the list is not to wait for a large file."""


class Counts(NamedTuple):
    """Samples by outcome.

    Attributes:
        is_whole: Whether the whole file has been read.
    """

    ok: int
    failed: int
    owed: int
    is_whole: bool = True


class _Line(msgspec.Struct):
    sample_id: str
    request_key: str
    status: Literal["ok", "error", "timeout"]


_read = msgspec.json.Decoder(_Line).decode


class LineCounter:
    """Counts the samples of a results file that have an outcome. The last line of a sample counts.

    Of what is sealed it is known how many there are: it is not read.

    Args:
        run_dir: The run directory.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._files: dict[Path, _File] = {}
        self._seen = self._ok = 0  # of what is sealed

    def look(self, asked: int, *, may_read: bool) -> Counts:
        """Reads what is new, up to some megabytes.

        Args:
            asked: Results when the run is complete.
            may_read: Whether there is time to.
        """
        is_whole = self._read_on() if may_read else False
        seen = self._seen + sum(len(file.outcomes) for file in self._files.values())
        ok = self._ok + sum(file.ok for file in self._files.values())
        return Counts(ok, seen - ok, max(asked - seen, 0), is_whole)

    def _read_on(self) -> bool:
        """Whether nothing is left to be read."""
        try:
            found = segments(self._run_dir)
        except (OSError, StoreError):  # it is being replaced
            return True
        self._seen = sum(one.lines or 0 for one in found)
        self._ok = sum(one.ok or 0 for one in found)
        owed = [one.path for one in found if one.lines is None]
        self._files = {path: self._files.get(path) or _File(path) for path in owed}
        left = _PIECE
        for file in self._files.values():
            if left <= 0:
                return False
            left -= file.read_on(left)
        return left > 0


class _File:
    """Counts the samples of a file that grows, or is replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin((0, 0))

    def read_on(self, most: int) -> int:
        """Reads what is new, and says how many bytes that were."""
        with suppress(OSError), self._path.open("rb") as file:
            found = os.fstat(file.fileno())
            if (found.st_dev, found.st_ino) != self._file or found.st_size < self._end:
                self._begin((found.st_dev, found.st_ino))
            file.seek(self._end)
            piece = file.read(most)
            whole = piece[: piece.rfind(b"\n") + 1]
            for line in whole.splitlines():
                self._add(line)
            self._end += len(whole)
            return len(piece)
        return 0

    def _begin(self, file: tuple[int, int]) -> None:
        self._file = file
        self._end = self.ok = 0
        self.outcomes = HashIndex()

    def _add(self, line: bytes) -> None:
        try:
            result = _read(line)
        except ValueError:
            return  # a damaged line is a sample that is owed
        question, ok = (result.sample_id, result.request_key), int(result.status == "ok")
        self.ok += ok - (self.outcomes.get(question) or 0)
        self.outcomes[question] = ok
