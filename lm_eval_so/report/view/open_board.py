"""A page over some runs, while they go on."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import orjson

from lm_eval_so.report.board import Board
from lm_eval_so.report.run_index import RunIndex
from lm_eval_so.report.runs import named_runs
from lm_eval_so.report.view.folder import FoundRun, Stamp, stamp_of
from lm_eval_so.report.view.sidecar import Sidecar
from lm_eval_so.report.view.walk import is_within
from lm_eval_so.runner.errors import LmEvalError, StoreError
from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.store.results import RESULTS

_LEAST_PAUSE = 0.3  # seconds between two looks
_SHARE = 1.5
"""A look is followed by a pause of so many times what it took: a large board is not read all the
time."""

_Key = list[tuple[str, Stamp | None, Stamp | None, bool]]


class Snapshot(NamedTuple):
    """A board at one moment; its manifest and its columns belong together.

    Attributes:
        revision: Grows with each.
        manifest: As JSON.
        columns: The index of the page.
        blocks: How many there are.
    """

    revision: int
    board: Board
    manifest: bytes
    columns: bytes
    blocks: int


class OpenBoard:
    """Follows the files of some runs. One thread calls `refresh`, another one `block`.

    Args:
        title: Of the page.
        root: What is outside of it is not read.
        cache: Folder for sidecars; None keeps none.
        clock: Seconds.

    Attributes:
        snapshot: The last one; None before the first.
        problem: Why there is no newer one, in one sentence.
        work: The `refresh` that goes on, or the last one.
    """

    def __init__(
        self,
        title: str,
        root: Path,
        cache: Path | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title = title
        self.snapshot: Snapshot | None = None
        self.problem: str | None = None
        self.work: Future[None] | None = None
        self._root = root
        self._cache = cache
        self._clock = clock
        self._sidecars: dict[Path, Sidecar] = {}
        self._indexes: dict[Path, RunIndex] = {}
        self._board: Board | None = None
        self._key: _Key = []
        self._due = 0.0
        self._reading = threading.Lock()

    @property
    def is_due(self) -> bool:
        """Whether it is time for another look."""
        return self._clock() >= self._due

    @property
    def lines(self) -> int:
        """Results that are indexed, of some 150 bytes each."""
        return sum(len(index) for index in list(self._indexes.values()))

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes of the results files that are indexed, and all of them."""
        indexes = list(self._indexes.values())
        return sum(index.position for index in indexes), sum(map(_size, indexes))

    def refresh(self, runs: Sequence[FoundRun]) -> None:
        """Makes a new snapshot if a file has changed.

        Args:
            runs: As they stand now.
        """
        began = self._clock()
        key = [
            (run.id, stamp_of(run.path / RESULTS), stamp_of(run.path / METADATA), run.is_running)
            for run in runs
        ]
        if key != self._key:
            try:
                self._update(runs, key)
            except (LmEvalError, OSError) as error:
                self.problem = str(error)
            else:
                self.problem = None
        now = self._clock()
        self._due = now + max(_LEAST_PAUSE, _SHARE * (now - began))

    def block(self, snapshot: Snapshot, number: int) -> bytes | None:
        """Some rows of a snapshot, as JSON; None where its files were replaced since."""
        indexes = [run.index for run in snapshot.board.runs]
        with self._reading:
            if any(map(_is_replaced, indexes)):
                return None
            found = snapshot.board.block(number)
            return None if any(map(_is_replaced, indexes)) else found

    def _update(self, runs: Sequence[FoundRun], key: _Key) -> None:
        readable = [run for run in runs if run.metadata and is_within(run.path / RESULTS, self._root)]
        if not readable:
            reasons = (run.problem for run in runs if run.problem)
            raise StoreError(next(reasons, f"{RESULTS} is a link that leads out of the folder"))
        board = self._board_of(readable)
        live = any(run.is_running for run in readable)
        with self._reading:  # `update` moves what `block` reads
            is_changed = board.update()
            if not is_changed and board is self._board and self._was_live == live:
                self._key = key
                return
            board.live = live
            ...
