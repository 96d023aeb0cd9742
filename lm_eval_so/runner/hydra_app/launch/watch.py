"""How far the cells of a sweep are, read from the files that they write."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.host.output import tell
from lm_eval_so.runner.store.segments import segments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lm_eval_so.runner.hydra_app.launch.fleet import Fleet

_FIRST, _LONGEST = 5.0, 60.0
"""Seconds until the first line, and between lines at most; the pause doubles each time."""
_BLOCK = 1 << 20


class _File:
    """Counts the lines of a file that grows, each of them once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = self.count = 0

    def look(self) -> int:
        """The lines that are there now."""
        try:
            with self._path.open("rb") as file:
                if file.seek(0, 2) < self._read:  # replaced by one in order
                    self._read = self.count = 0
                file.seek(self._read)
                while block := file.read(_BLOCK):
                    self._read += len(block)
                    self.count += block.count(b"\n")
        except OSError:  # not there yet
            pass
        return self.count


class _Lines:
    """Counts the lines of a run: of what is sealed it is known how many there are."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[Path, _File] = {}
        self._count = 0

    def look(self) -> int:
        """The lines that are there now."""
        with suppress(OSError, StoreError):  # it is being replaced
            found = segments(self._directory)
            owed = [one.path for one in found if one.lines is None]
            self._files = {path: self._files.get(path) or _File(path) for path in owed}
            self._count = sum(one.lines or 0 for one in found)
            self._count += sum(file.look() for file in self._files.values())
        return self._count


class Watch:
    """Tells now and then how many results the running cells have.

    Args:
        directories: Of all cells, by number; None where unknown.
        fleet: The cells.
    """

    def __init__(self, directories: Sequence[Path | None], fleet: Fleet) -> None:
        self._lines = [_Lines(path) if path else None for path in directories]
        self._fleet = fleet
        self._pause = _FIRST
        self._next = time.monotonic() + _FIRST
        self._told = ""

    def look(self) -> None:
        """Prints a line, if it is time and something has changed."""
        now = time.monotonic()
        if now < self._next:
            return
        self._pause = min(2 * self._pause, _LONGEST)
        self._next = now + self._pause
        counts = [
            f"[{number + 1}] {lines.look():,}"
            for number in sorted(self._fleet.running)
            if (lines := self._lines[number]) is not None
        ]
        said = f"results so far: {'  '.join(counts)}"
        if counts and said != self._told:
            self._told = said
            tell(said)
