"""How runs were joined is kept, and used for the lines that it is of alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lm_eval_so.report.board import Board
from lm_eval_so.report.runs import named_runs
from lm_eval_so.report.view.kept_page import Joined, KeptPage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COUNT = 20_001


def board_of(path: Path) -> Board:
    board = Board(named_runs([path]))
    board.update()
    return board


def test_what_was_kept_is_used_for_the_lines_that_it_is_of(
    answered: Callable[..., Path], tmp_path: Path
) -> None:
    directory = answered(count=COUNT)
    board, kept = board_of(directory), KeptPage(tmp_path, [directory])
    index = board.runs[0].index
    kept.keep(Joined(board.rows, board.block_rows), [index])

    with index.path.open("a") as file:
        line = json.loads(index.path.read_text().splitlines()[0])
        file.write(json.dumps(line | {"sample_id": "new"}) + "\n")
    index.extend()
    joined = kept.read([index])
    assert joined is not None
    assert (joined.block_rows, joined.rows.lines) == (board.block_rows, [COUNT])
    joined.rows.add(0, index)
    assert joined.rows.places == board_of(directory).rows.places
    assert len(joined.rows) == COUNT + 1

    for name, line, value in (("question", 5, 1), ("status", COUNT - 1, 2), ("repeat", 0, 1)):
        column = index.columns[name]
        before, column[line] = column[line], value
        assert kept.read([index]) is None, f"{name} decides of rows"
        column[line] = before
    assert kept.read([index]) is not None
    del index.columns["question"][-2:]
    assert kept.read([index]) is None, "lines are missing"


def test_a_page_of_few_rows_is_not_kept(answered: Callable[..., Path], tmp_path: Path) -> None:
    directory = answered()
    board, kept = board_of(directory), KeptPage(tmp_path, [directory])
    indexes = [run.index for run in board.runs]
    kept.keep(Joined(board.rows, board.block_rows), indexes)
    assert kept.read(indexes) is None
