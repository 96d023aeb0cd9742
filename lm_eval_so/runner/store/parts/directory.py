"""A run directory in parts, held by this process: what is owed, and how it ends."""

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from lm_eval_so.runner.errors import StoreError
from lm_eval_so.runner.masking.redactor import Redactor
from lm_eval_so.runner.store.files import remove_abandoned, replace_file
from lm_eval_so.runner.store.held import HeldDirectory
from lm_eval_so.runner.store.metadata import METADATA
from lm_eval_so.runner.store.owner import Asked
from lm_eval_so.runner.store.parts import SHARDS
from lm_eval_so.runner.store.parts.board import Board
from lm_eval_so.runner.store.parts.join import (
    join,
    kept_totals,
    remove_abandoned_folder,
    size_of,
    totals_of,
)
from lm_eval_so.runner.store.parts.layout import JOINED, ShardsFile
from lm_eval_so.runner.store.parts.lease import Asked as WhatIsAsked
from lm_eval_so.runner.store.parts.lease import Lease, Range
from lm_eval_so.runner.store.parts.part import Part, seal
from lm_eval_so.runner.store.results import RESULTS
from lm_eval_so.runner.summary.summarise import Totals


class PartsDirectory(HeldDirectory):
    """A held directory whose results are in parts; memory does not grow with them.

    Args:
        shards: How the dataset is cut; its ``shards.json`` is written where it is another one.

    Attributes:
        board: What is there, and what is owed.
        sealed: First positions of the parts that this command has sealed.

    Raises (on entering):
        LmEvalError: As `HeldDirectory`.
    """

    def __init__(
        self,
        path: Path,
        identity: Mapping[str, Any],
        shards: ShardsFile,
        redactor: Redactor,
        asked: Asked | None = None,
    ) -> None:
        super().__init__(path, identity, redactor, asked)
        self._shards = shards
        self.sealed: set[int] = set()
        self._open_parts: dict[int, Part] = {}  # by epoch

    def _open(self, entered: ExitStack) -> None:
        for name in (RESULTS, METADATA, SHARDS, JOINED):
            remove_abandoned(self.path / name)
        remove_abandoned_folder(self.path)
        self.board = Board(self.path, self._shards)
        self._epoch = self.board.last_epoch
        text, path = self._shards.to_json(), self.path / SHARDS
        if not path.exists() or path.read_bytes() != text:
            replace_file(path, [text])
        entered.callback(self._close_parts)

    def look_again(self) -> None:
        """Sees what others have sealed meanwhile."""
        self.board = Board(self.path, self._shards)
        self._epoch = max(self._epoch, self.board.last_epoch)

    def _sync_results(self) -> None:
        for part in list(self._open_parts.values()):
            part.sync()

    def lease(self, wanted: Range) -> Lease:
        """A lease of a range for this process."""
        self._epoch += 1
        return Lease(wanted.first, wanted.count, self._epoch)

    def open_part(self, lease: Lease) -> Part:
        """The part of a lease, with what earlier writers have left.

        Raises:
            StoreError: It cannot be written.
        """
        self._lock.check_if_due()
        part = Part(self.path, lease, self._shards.repeats, self._redactor)
        self._open_parts[lease.epoch] = part
        part.take_over(self.board.sources(lease.range))
        return part

    def seal(self, part: Part, asked: WhatIsAsked, unasked: int) -> None:
        """Seals a part; see `Part.put_in_order`."""
        self._lock.check()
        marker = part.put_in_order(asked, unasked)
        if marker is not None:
            seal(self.path, marker)
            self.board.seal(marker)
            self.sealed.add(marker.first)
        self._open_parts.pop(part.lease.epoch, None)

    def finish(self, limit: int) -> Totals:
        """Joins the pieces, if all are together at most ``limit`` bytes, and adds them up.

        Raises:
            StoreError: The results file cannot be written; the parts are as they were.
        """
        self._lock.check()
        self.spent.flush()
        joined = None if self.board.has_parts else self.board.joined
        if joined is not None and (kept := kept_totals(joined.totals)) is not None:
            return kept
        pieces = list(self.board.pieces())
        totals = totals_of(self.path, pieces)
        if size_of(pieces) <= limit:
            join(self.path, pieces, totals)
        return totals

    def _close_parts(self) -> None:
        for part in self._open_parts.values():
            with suppress(StoreError):
                part.sync()
            part.close()
