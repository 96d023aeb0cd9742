"""How many results a run has by now, for the list; a file that grew costs only what is new."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from lm_eval_so.runner.hash_index import HashIndex

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

    Args:
        path: ``run_results.jsonl``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin((0, 0))

    def look(self, asked: int, *, may_read: bool) -> Counts:
        """Reads what is new, up to some megabytes.

        Args:
            asked: Results when the run is complete.
            may_read: Whether there is time to.
        """
        is_whole = self._read_on() if may_read else False
        seen, ok = len(self._outcomes), self._ok
        return Counts(ok, seen - ok, max(asked - seen, 0), is_whole)

    def _read_on(self) -> bool:
        """Whether nothing is left to be read."""
        with suppress(OSError), self._path.open("rb") as file:
            found = os.fstat(file.fileno())
            if (found.st_dev, found.st_ino) != self._file or found.st_size < self._end:
                self._begin((found.st_dev, found.st_ino))
            file.seek(self._end)
            piece = file.read(_PIECE)
            whole = piece[: piece.rfind(b"\n") + 1]
            for line in whole.splitlines():
                self._add(line)
            self._end += len(whole)
            return len(piece) < _PIECE
        return True

    def _begin(self, file: tuple[int, int]) -> None:
        self._file = file
        self._end = self._ok = 0
        self._outcomes = HashIndex()

    def _add(self, line: bytes) -> None:
        try:
            result = _read(line)
        except ValueError:
            return  # a damaged line is a sample that is owed
        question, ok = (result.sample_id, result.request_key), int(result.status == "ok")
        self._ok += ok - (self._outcomes.get(question) or 0)
        self._outcomes[question] = ok
