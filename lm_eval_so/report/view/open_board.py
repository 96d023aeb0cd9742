"""A page over some runs, while they go on."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from lm_eval_so.report.board import Board
from lm_eval_so.report.json_text import json_bytes
from lm_eval_so.report.run_index import RunIndex, is_replaced
from lm_eval_so.report.runs import named_runs
from lm_eval_so.report.view.folder import FoundRun, Stamp, stamp_of
from lm_eval_so.report.view.kept_page import Joined, KeptPage, Snapshot, Source, inodes_of
from lm_eval_so.report.view.sidecar import Sidecar
from lm_eval_so.report.view.walk import is_within
from lm_eval_so.runner.errors import LmEvalError, StoreError
from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.store.parts import PARTS
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.store.segments import results_stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

_LEAST_PAUSE, _LONGEST_PAUSE = 0.3, 5.0
"""Seconds between two looks; a look is followed by a pause as long as itself within these bounds: a
large board is not read all the time."""
_MS = 1_000_000  # nanoseconds

_Key = list[tuple[str, Stamp | None, Stamp | None, bool]]


class OpenBoard:
    """Follows the files of some runs. One thread calls `refresh`, another one `block`.

    Args:
        title: Of the page.
        root: What is outside of it is not read.
        cache: Folder for what is kept for the next command; None keeps nothing.
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
        self._kept_lines: list[int] = []
        self._since = 0  # the first revision of the snapshot's source
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
        return sum(map(len, list(self._indexes.values())))

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
            (run.id, _lines_stamp(run), stamp_of(run.path / METADATA), run.is_running)
            for run in runs
        ]
        if key != self._key:
            try:
                self._update(runs, key)
            except (LmEvalError, OSError) as error:
                self.problem = str(error)
            else:
                self.problem, self._key = None, key
        now = self._clock()
        self._due = now + min(max(_LEAST_PAUSE, now - began), _LONGEST_PAUSE)

    def block(self, number: int, revision: int | None = None) -> bytes | None:
        """The rows of a block as JSON; None where the files are to be read anew.

        Args:
            number: Of the block.
            revision: Of the page that asks.

        Raises:
            StoreError: The files cannot be read; or they are not those of that revision any more.
        """
        with self._reading:
            snapshot = self.snapshot
            if snapshot is None or snapshot.source.is_over:
                return None
            if not self._since <= (revision or snapshot.revision) <= snapshot.revision:
                raise StoreError("there is a newer revision; load manifest.json anew")
            try:
                rows = snapshot.source.block(number)
            except IndexError:  # an index is that of the next file by now
                return None
            return None if snapshot.source.is_over else rows

    def _update(self, runs: Sequence[FoundRun], key: _Key) -> None:
        readable = [run for run in runs if run.metadata and self._may_read(run)]
        if not readable:
            reasons = (run.problem for run in runs if run.problem)
            raise StoreError(next(reasons, f"{RESULTS} is a link that leads out of the folder"))
        is_live = any(run.is_running for run in readable)
        board, paths = self._board, [run.path for run in readable]
        if self.snapshot is None or _is_over(self.snapshot.source, paths):
            board, self._board = None, None
            self._indexes = {path: self._known(path) for path in paths}
        is_new = board is None
        if board is None:
            board = self._new_board(paths)
            board.update()
        else:
            with self._reading:  # `update` moves what `block` reads
                is_new = board.update()
        if is_new or is_live != board.live:
            board.live = is_live
            self._show(self._snapshot_of(board, key))
        self._board = board
        self._keep(board, is_final=not is_live)

    def _may_read(self, run: FoundRun) -> bool:
        paths = run.path / RESULTS, run.path / PARTS
        return all(not path.is_symlink() or is_within(path, self._root) for path in paths)

    def _known(self, run_dir: Path) -> RunIndex:
        """What is known of a run whose file was not replaced; else an empty index."""
        index = self._indexes.get(run_dir)
        if index is None or is_replaced(index):
            index = self._sidecar(run_dir).read()
        return RunIndex(run_dir) if index is None else index

    def _new_board(self, paths: Sequence[Path]) -> Board:
        named = named_runs(paths, self._indexes)
        self._indexes = {run.index.run_dir: run.index for run in named}
        board = Board(named)
        kept = self._cache and KeptPage(self._cache, paths).read([run.index for run in named])
        self._kept_lines = list(kept.rows.lines) if kept else []
        if kept:
            board.begin_with(*kept)
        return board

    def _snapshot_of(self, board: Board, key: _Key) -> Snapshot:
        """Its revision is that of the newest file, so that it is the same in the next command."""
        last = self.snapshot
        times = (stamp[0] for _, *stamps, _ in key for stamp in stamps if stamp)
        changed = max(times, default=0)
        revision = max(changed // _MS, 0 if last is None else last.revision + 1)
        manifest = board.manifest() | {"live": board.live, "revision": revision}
        indexes = [run.index for run in board.runs]
        goes_on = board is self._board
        if last is not None and goes_on and last.source.inodes == inodes_of(indexes):
            source = last.source
        else:
            source = Source(indexes, board.block)
        return Snapshot(revision, json_bytes(manifest), board.columns(), board.blocks, source)

    def _show(self, snapshot: Snapshot) -> None:
        with self._reading:
            if self.snapshot is None or self.snapshot.source is not snapshot.source:
                self._since = snapshot.revision
            self.snapshot = snapshot

    def _sidecar(self, run_dir: Path) -> Sidecar:
        return self._sidecars.setdefault(run_dir, Sidecar(self._cache, run_dir))

    def _keep(self, board: Board, *, is_final: bool) -> None:
        """Keeps for the next command what takes long to make."""
        for path, index in self._indexes.items():
            self._sidecar(path).keep(index, is_final=is_final)
        if self._cache is not None and is_final and board.rows.lines != self._kept_lines:
            indexes = [run.index for run in board.runs]
            kept = KeptPage(self._cache, [index.run_dir for index in indexes])
            kept.keep(Joined(board.rows, board.block_rows), indexes)
            self._kept_lines = list(board.rows.lines)


def _is_over(source: Source, paths: Sequence[Path]) -> bool:
    """Whether other runs are to be shown, or one of the files was replaced."""
    return [index.run_dir for index in source.indexes] != list(paths) or source.is_over


def _size(index: RunIndex) -> int:
    if index.segments:
        return index.size
    found = results_stamp(index.run_dir)
    return found.size if found is not None else 0


def _lines_stamp(run: FoundRun) -> Stamp | None:
    """As `stamp_of`, of the run's lines."""
    found = results_stamp(run.path)
    return found and (found.modified_ns, found.size, found.inode)
