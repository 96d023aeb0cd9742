"""A page over some runs, while they go on."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from lm_eval_so.report.board import Board
from lm_eval_so.report.columns import json_bytes
from lm_eval_so.report.runs import named_runs
from lm_eval_so.report.view.folder import FoundRun, Stamp, stamp_of
from lm_eval_so.report.view.sidecar import Sidecar
from lm_eval_so.report.view.walk import is_within
from lm_eval_so.runner.errors import LmEvalError, StoreError
from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.store.results import RESULTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from lm_eval_so.report.run_index import RunIndex

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
                self._update(runs)
            except (LmEvalError, OSError) as error:
                self.problem = str(error)
            else:
                self.problem, self._key = None, key
        now = self._clock()
        self._due = now + max(_LEAST_PAUSE, _SHARE * (now - began))

    def block(self, snapshot: Snapshot, number: int) -> bytes | None:
        """Some rows of a snapshot, as JSON; None where its files were replaced since."""
        indexes = [run.index for run in snapshot.board.runs]
        with self._reading:
            if any(map(is_replaced, indexes)):
                return None
            try:
                found = snapshot.board.block(number)
            except IndexError:  # the index is that of the new file by now
                return None
            return None if any(map(is_replaced, indexes)) else found

    def _update(self, runs: Sequence[FoundRun]) -> None:
        readable = [run for run in runs if run.metadata and self._may_read(run)]
        if not readable:
            reasons = (run.problem for run in runs if run.problem)
            raise StoreError(next(reasons, f"{RESULTS} is a link that leads out of the folder"))
        board = self._board
        if board is None or _is_over(board, readable):
            board = self._new_board(readable)
            board.update()
            is_new = True
        else:
            with self._reading:  # `update` moves what `block` reads
                is_new = board.update()
        is_live = any(run.is_running for run in readable)
        if is_new or is_live != board.live:
            board.live = is_live
            self.snapshot = self._snapshot_of(board)
        self._board = board
        for run in readable:
            self._sidecar(run.path).keep(self._indexes[run.path], is_final=not run.is_running)

    def _may_read(self, run: FoundRun) -> bool:
        path = run.path / RESULTS
        return not path.is_symlink() or is_within(path, self._root)

    def _new_board(self, runs: Sequence[FoundRun]) -> Board:
        """A board of these runs; what is known of files that were not replaced is used again."""
        known = {}
        for path in (run.path for run in runs):
            index = self._indexes.get(path)
            if index is None or is_replaced(index):
                index = self._sidecar(path).read()
            if index is not None:
                known[path] = index
        named = named_runs([run.path for run in runs], known)
        self._indexes = {run.index.run_dir: run.index for run in named}
        return Board(named)

    def _sidecar(self, run_dir: Path) -> Sidecar:
        return self._sidecars.setdefault(run_dir, Sidecar(self._cache, run_dir))

    def _snapshot_of(self, board: Board) -> Snapshot:
        last = 0 if self.snapshot is None else self.snapshot.revision
        revision = max(last + 1, int(time.time()))  # grows when the server starts anew, too
        manifest = {**board.manifest(), "live": board.live, "revision": revision}
        return Snapshot(revision, board, json_bytes(manifest), board.columns(), board.blocks)


def _is_over(board: Board, runs: Sequence[FoundRun]) -> bool:
    """Whether other runs are to be shown, or one of the files was replaced."""
    indexes = [run.index for run in board.runs]
    return [index.run_dir for index in indexes] != [run.path for run in runs] or any(
        map(is_replaced, indexes)
    )


def is_replaced(index: RunIndex) -> bool:
    """Whether the results file is another one than that which was read, or gone."""
    if index.stamp is None:
        return False
    try:
        return index.path.stat().st_ino != index.stamp.inode
    except OSError:
        return True


def _size(index: RunIndex) -> int:
    with suppress(OSError):
        return index.path.stat().st_size
    return 0
