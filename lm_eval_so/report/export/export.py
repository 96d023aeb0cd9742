"""What is exported: the results of some cells, as results or as rows of one table."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from lm_eval_so.report.export.cell import Cell
from lm_eval_so.report.result_columns import request_of
from lm_eval_so.report.scores import Scores
from lm_eval_so.runner.models import RunResult
from lm_eval_so.runner.store.segments import results_path
from lm_eval_so.runner.summary.result_row import COLUMNS, ColumnType, row_of

Row = dict[str, Any]


class Export:
    """The results of some cells, read as often as they are asked for.

    Args:
        cells: At least one.
        scores: Joined to the results.

    Attributes:
        notes: What a person should know of the file, a sentence each; whoever finds it adds it.
    """

    def __init__(self, cells: Sequence[Cell], scores: Scores | None = None) -> None:
        self.cells = tuple(cells)
        self.notes: list[str] = []
        self._scores = scores or Scores()
        self._scored = 0

    @property
    def columns(self) -> dict[str, ColumnType]:
        """Of `rows`: with several cells also their names and what varies; then the scores.

        The same for every export of these cells and scores, whatever their results are.
        """
        settings = self.cells[0].settings if len(self.cells) > 1 else {}
        own: dict[str, ColumnType] = {} if len(self.cells) == 1 else {"cell": "string"}
        own |= {f"cell.{key}": "string" for key in settings}
        return {**own, **COLUMNS, **{f"score.{name}": "float64" for name in self._scores.names}}

    def rows(self) -> Iterator[Row]:
        """The values of `columns`; what is missing is None, or has no key."""
        for cell in self.cells:
            settings = {f"cell.{key}": as_text(value) for key, value in cell.settings.items()}
            own = {"cell": cell.name, **settings} if len(self.cells) > 1 else {}
            for result in self.results(cell):
                scores = self.scores_of(cell, result).items()
                yield {**own, **row_of(result), **{f"score.{name}": n for name, n in scores}}

    def results(self, cell: Cell) -> Iterator[RunResult]:
        """The results of a cell; a sample without one is told in ``notes``."""
        count = damaged = 0
        for result in cell.results():
            if result is None:
                damaged += 1
                continue
            count += 1
            yield result
        if damaged:
            self._note(f"left out {damaged:,} damaged lines of {results_path(cell.directory)}")
        owed = cell.metadata.asked - count
        if owed > 0:
            self._note(
                f"{owed:,} of {cell.metadata.asked:,} samples of {cell.name} have no outcome yet, "
                "and are not in the file"
            )

    def scores_of(self, cell: Cell, result: RunResult) -> dict[str, float]:
        """The scores of a result; empty where it has none."""
        request = request_of(result.request_key)
        found = self._scores.of(request, result.sample_id, result.repeat, cell.name)
        self._scored += bool(found)
        return found

    @property
    def has_missed_scores(self) -> bool:
        """Whether there are scores, and all of them belong to other results."""
        return bool(self._scores) and not self._scored

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def as_text(value: object) -> str:
    """A JSON value as text: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else to_json(value)


def to_json(value: object) -> str:
    """A value as JSON, with all characters as they are."""
    return json.dumps(value, ensure_ascii=False)
