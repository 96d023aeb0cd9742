"""The boards that are open: found by an id that stands for something that was found."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING

from lm_eval_so.report.view.open_board import OpenBoard
from lm_eval_so.report.view.worker import Worker
from lm_eval_so.runner.errors import ConfigError

if TYPE_CHECKING:
    from concurrent.futures import Future
    from pathlib import Path

    from lm_eval_so.report.view.counts import Counts
    from lm_eval_so.report.view.folder import Folder, Found, FoundRun

_MOST_OPEN, _MOST_LINES = 16, 3_000_000
"""Boards that are kept, and results in all of them, of some 150 bytes each."""
_LEAST_AGE, _SHARE = 0.5, 2.0
"""A look into the folder is good for so many seconds, and for so many times what it took."""
_LAST_WORDS = 3.0  # seconds
_PATIENCE = 0.4
"""Seconds that a request waits for what is new, before it is answered with what is there."""


class Boards:
    """Opens boards, and keeps those that were asked for last.

    Args:
        folder: Where they are found.
        cache: Folder for sidecars; None keeps none.

    Attributes:
        looking: The thread that looks into the folder.
        reading: The thread that reads answers.
    """

    def __init__(self, folder: Folder, cache: Path | None) -> None:
        self.looking, self._indexing, self.reading = map(Worker, ("look", "index", "read"))
        self._folder = folder
        self._cache = cache
        self._open: dict[str, OpenBoard] = {}
        self._found: Found | None = None
        self._good_until = 0.0
        self._look: Future[Found] | None = None

    async def found(self, *, at_once: bool = False) -> Found:
        """What there is in the folder.

        Args:
            at_once: What was there at the last look will do, while the next one goes on.
        """
        if self._found is not None and time.monotonic() < self._good_until:
            return self._found
        look = self._look
        if look is None or look.done():
            look = self._look = self.looking.begin(self._looked)
        if at_once and self._found is not None:
            return self._found
        return await asyncio.wrap_future(look)

    async def board(self, board_id: str, *, at_once: bool = False) -> OpenBoard | None:
        """The board of a run, of a sweep, or of runs whose ids are joined by ``-``.

        It is as new as can be had within a moment. None where there is no such thing any more.

        Args:
            board_id: Is looked up in what was found.
            at_once: What is known of an open board will do.

        Raises:
            ConfigError: The runs are of different datasets.
        """
        board = self._open.get(board_id)
        if board is not None and at_once:
            return board
        found = await self.found(at_once=board is not None)
        paths = [run.path for run in _runs(board_id, found)]
        now = await self.looking.do(lambda: [self._folder.run_in(path) for path in paths])
        runs = [run for run in now if run is not None]
        if not runs:
            self._open.pop(board_id, None)
            return None
        board = self._open.pop(board_id, None) or OpenBoard(
            _title(board_id, found), found.root, self._cache
        )
        self._open[board_id] = board
        self._forget()
        await self._refresh(board, runs)
        return board

    async def _refresh(self, board: OpenBoard, runs: list[FoundRun]) -> None:
        if board.work is None or board.work.done():
            if not board.is_due:
                return
            board.work = self._indexing.begin(partial(board.refresh, runs))
        done, _ = await asyncio.wait([asyncio.wrap_future(board.work)], timeout=_PATIENCE)
        for future in done:
            future.result()  # a bug is raised here

    async def counts_of(self, found: Found) -> dict[str, Counts | None]:
        """The samples of each run by outcome."""
        return await self.looking.do(partial(self._folder.counts_of, found))

    async def settle(self) -> None:
        """Waits a moment for what is being kept for the next command."""
        works = [board.work for board in self._open.values() if board.snapshot and board.work]
        if works:
            await asyncio.wait(list(map(asyncio.wrap_future, works)), timeout=_LAST_WORDS)

    def _looked(self) -> Found:
        began = time.monotonic()
        found = self._found = self._folder.look()
        now = time.monotonic()
        self._good_until = now + max(_LEAST_AGE, _SHARE * (now - began))
        return found

    def _forget(self) -> None:
        """Lets go of boards that others were asked for after; the last one stays."""
        while len(self._open) > 1 and (
            len(self._open) > _MOST_OPEN
            or sum(board.lines for board in self._open.values()) > _MOST_LINES
        ):
            del self._open[next(iter(self._open))]


def _runs(board_id: str, found: Found) -> list[FoundRun]:
    sweep = found.sweeps.get(board_id)
    ids = dict.fromkeys(board_id.split("-")) if sweep is None else sweep.runs
    runs = [found.runs[run] for run in ids if run in found.runs]
    if sweep is None:
        datasets = {run.metadata.dataset.id for run in runs if run.metadata is not None}
        if len(datasets) > 1:
            raise ConfigError(
                f"these runs are of different datasets ({', '.join(sorted(datasets))}); pick runs "
                "of one dataset"
            )
    return runs


def _title(board_id: str, found: Found) -> str:
    named = found.sweeps.get(board_id) or found.runs.get(board_id)
    if named is not None:
        return named.shown
    return f"{len(board_id.split('-'))} runs of {found.root.name}"
