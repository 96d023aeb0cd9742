"""What one page shows: runs joined by question, as a manifest, columns and blocks of rows."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from lm_eval_so._version import __version__
from lm_eval_so.report.blocks import read_rows
from lm_eval_so.report.cells import cell_of, counts_of, datasets_of
from lm_eval_so.report.json_text import json_bytes
from lm_eval_so.report.manifest import FORMAT, Cell, Field, Manifest, Sampled
from lm_eval_so.report.merged import Merged
from lm_eval_so.report.page_index import Index, epoch_of, index_of
from lm_eval_so.report.rows import Rows, Slot
from lm_eval_so.report.runs import NamedRun, reread
from lm_eval_so.report.scores import Scores

_BLOCK_BYTES = 1 << 18  # of results lines, roughly
_FEWEST_ROWS, _MOST_ROWS = 10, 500  # of a block


class _Page(NamedTuple):
    """Manifest and index of one revision."""

    revision: int
    manifest: Manifest
    data: bytes


class Board:
    """Runs of one page, joined by question.

    It is empty until `update` has read the runs. `manifest` and `columns` belong together as long
    as nothing calls `update` between them. Not to be used from several threads at once.

    Args:
        runs: The cells; the first one's file decides the order of the rows.
        title: Of the page; None for the ids of the datasets.
        live: Whether the page is served while a run goes on.
        scores: Of its results.

    Attributes:
        revision: Grows with every update that found something.
        rows: Which line is in which row.
    """

    def __init__(
        self,
        runs: Sequence[NamedRun],
        *,
        title: str | None = None,
        live: bool = False,
        scores: Scores | None = None,
    ) -> None:
        if not runs:
            raise ValueError("a board needs a run")
        self.runs = list(runs)
        self.live = live
        self.revision = 0
        self.rows = Rows([])
        self.sampled: Sampled | None = None
        self._whole = self.rows
        self._title = title
        self._scores = scores or Scores()
        self._block_rows = 0
        self._page: _Page | None = None

    def update(self) -> bool:
        """Reads what the runs have got since the last call; says whether there was anything.

        Raises:
            NewerVersionError: A newer release wrote some of it.
            StoreError: A file cannot be read.
        """
        before = [len(run.index) for run in self.runs]
        changes = [run.index.extend() for run in self.runs]
        runs = [reread(run) for run in self.runs] if self.revision else self.runs
        if self.revision and not any(changes) and runs == self.runs:
            return False
        self.runs = runs
        slots = self._slots()
        if slots != self.rows.slots or any(change.replaced for change in changes):
            self.rows, before = Rows(slots), [0] * len(runs)
        for cell, (run, first) in enumerate(zip(runs, before, strict=True)):
            self.rows.add(cell, run.index, first)
        self._whole = self.rows
        self._block_rows = self._block_rows or self._rows_of_a_block()
        self.revision += 1
        return True

    def keep_only(self, rows: Sequence[int], sampled: Sampled) -> None:
        """Makes the page a sample; the counts of its cells stay those of the whole.

        Args:
            rows: Those that stay, in their order.
            sampled: What is told of it.
        """
        self.rows, self.sampled = self._whole.only(rows), sampled
        self._page = None

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-len(self.rows) // self._block_rows)

    def manifest(self) -> Manifest:
        """What the page knows before it reads any row."""
        return self._current().manifest

    def columns(self) -> bytes:
        """The index that the manifest describes."""
        return self._current().data

    def block(self, number: int) -> bytes:
        """Some rows, as a JSON array.

        Args:
            number: Of the block, from 0 to `blocks` - 1.

        Raises:
            IndexError: There is no such block.
            StoreError: A results file cannot be read.
        """
        if not 0 <= number < self.blocks:
            raise IndexError(f"block {number} of {self.blocks}")
        first = number * self._block_rows
        wanted = range(first, min(first + self._block_rows, len(self.rows)))
        indexes = [run.index for run in self.runs]
        return json_bytes(read_rows(indexes, self.rows, wanted, self._scores_of))

    def _slots(self) -> list[Slot]:
        return [
            Slot(cell, repeat)
            for cell, run in enumerate(self.runs)
            for repeat in range(
                max(run.metadata.repeats, 1 + max(run.index.columns["repeat"], default=0))
            )
        ]

    def _rows_of_a_block(self) -> int:
        read = sum(run.index.position for run in self.runs)
        fitting = _BLOCK_BYTES * len(self.rows) // max(read, 1)
        return min(max(fitting, _FEWEST_ROWS), _MOST_ROWS)

    def _scores_of(self, slot: int, row: int) -> dict[str, float]:
        where, place = self.rows.slots[slot], self.rows.places[slot][row]
        run = self.runs[where.cell]
        request = run.index.columns["request"][place - 1]
        return self._scores.of(request, run.index.sample_id(place - 1), where.repeat, run.name)

    def _current(self) -> _Page:
        if self._page is None or self._page.revision != self.revision:
            merged = Merged([run.index for run in self.runs])
            index = index_of(self.runs, self.rows, merged, self._scores)
            self._page = _Page(self.revision, self._manifest(merged, index), index.data)
        return self._page

    def _manifest(self, merged: Merged, index: Index) -> Manifest:
        datasets, of_runs = datasets_of(self.runs)
        epoch = epoch_of([run.index for run in self.runs])
        names = dict.fromkeys(dataset["name"] or dataset["id"] for dataset in datasets)
        return Manifest(
            format=FORMAT,
            product=__version__,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            title=self._title or ", ".join(names),
            live=self.live,
            datasets=datasets,
            cells=self._cells(of_runs),
            slots=[{"cell": slot.cell, "repeat": slot.repeat} for slot in self.rows.slots],
            rows=len(self.rows),
            block_rows=self._block_rows,
            blocks=self.blocks,
            started_at=None if epoch is None else datetime.fromtimestamp(epoch, UTC).isoformat(),
            errors=merged.errors,
            finish_reasons=merged.finish_reasons,
            tags=merged.tags,
            tagsets=merged.tagsets,
            fields=[Field(name=each.name, values=each.field.values) for each in merged.fields],
            scores=list(self._scores.names),
            columns=index.columns,
            ids=index.ids,
            sampled=self.sampled,
            revision=self.revision,
            damaged=sum(run.index.damaged for run in self.runs),
        )

    def _cells(self, datasets: Sequence[int]) -> list[Cell]:
        cells = []
        for number, (run, dataset) in enumerate(zip(self.runs, datasets, strict=True)):
            counts, asked = counts_of(number, run, self._whole)
            cells.append(cell_of(run, dataset, counts, asked))
        return cells
