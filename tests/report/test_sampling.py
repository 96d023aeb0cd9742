"""What cannot stand in one file whole is a sample that says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.report.board import Board
from lm_eval_so.report.runs import named_runs
from lm_eval_so.report.sampling import keep_a_sample
from lm_eval_so.runner.hydra_app.app import main
from support.report_page import ReadPage

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 200


@pytest.fixture
def runs(make_dataset: Callable[..., Path]) -> list[Path]:
    """Two models of which one fails now and then."""
    target = ["backend=simulated", "dataset=path", f"dataset.path={make_dataset(ROWS)}"]
    options = ["backend.options.latency_ms=1", "runner.max_retries=0", "backend.options.seed=3"]
    faults = ["backend.options.timeout=0.1", "backend.options.truncated=0.2"]
    main([*target, *options, "model=a", "output_dir=a", *faults])
    main([*target, *options, "model=b", "output_dir=b"])
    return [Path("a"), Path("b")]


def board_of(paths: list[Path]) -> Board:
    board = Board(named_runs(paths))
    board.update()
    return board


def test_what_fits_stays_whole(runs: list[Path]) -> None:
    board = board_of(runs)
    assert keep_a_sample(board, 2 * ROWS) is None
    assert board.manifest()["sampled"] is None
    assert board.manifest()["rows"] == ROWS


def test_a_sample_says_what_it_is_and_counts_the_whole(runs: list[Path]) -> None:
    whole = board_of(runs).manifest()["cells"]
    board = board_of(runs)
    sampled = keep_a_sample(board, 120)
    page = ReadPage.of_board(board)
    assert sampled is not None
    assert page.manifest["sampled"] == {"results": 120, "of": 2 * ROWS, "how": sampled["how"]}
    assert page.manifest["rows"] == len(page.rows) == len(page.ids) == 60
    assert [cell["counts"] for cell in page.manifest["cells"]] == [c["counts"] for c in whole]
    assert "failed" in sampled["how"]
    assert "at random" in sampled["how"]


def test_a_sample_has_all_failures_the_outliers_and_what_differs_most(runs: list[Path]) -> None:
    whole = ReadPage.of_board(board_of(runs))
    board = board_of(runs)
    keep_a_sample(board, 160)
    kept = set(ReadPage.of_board(board).ids)
    failed = {row["id"] for row in whole.rows if any(r["status"] != "ok" for r in row["results"])}
    assert 0 < len(failed) <= 40
    assert failed <= kept
    for name in ("latency", "length"):
        column = whole.column(name)
        values = [max(column[row], column[ROWS + row]) for row in range(ROWS)]
        assert whole.ids[values.index(max(values))] in kept
    differing = {row for row in range(ROWS) if whole.result("answer", row, 1) == 1}
    assert len(differing) > 16
    assert len({whole.ids[row] for row in differing} & kept) >= 16


def test_rows_keep_their_order_and_the_same_runs_give_the_same_sample(runs: list[Path]) -> None:
    found = []
    for _ in range(2):
        board = board_of(runs)
        keep_a_sample(board, 120)
        found.append(ReadPage.of_board(board).ids)
    assert found[0] == found[1]
    numbers = [int(name[1:]) for name in found[0]]
    assert numbers == sorted(numbers)


def test_more_failures_than_fit_are_half_of_the_sample(runs: list[Path]) -> None:
    board = board_of(runs)
    sampled = keep_a_sample(board, 20)
    assert sampled is not None
    assert sampled["how"].startswith("samples: 5 of ")
    assert len(board.rows) == 10
