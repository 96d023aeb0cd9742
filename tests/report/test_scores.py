"""Scores that something else gave are joined to results."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import rows
from lm_eval_so.report.board import Board
from lm_eval_so.report.runs import named_runs
from lm_eval_so.report.scores import Scores, read_scores
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.hydra_app.app import main
from support.report_page import ReadPage

if TYPE_CHECKING:
    from collections.abc import Callable


def scores_of(*lines: dict[str, Any]) -> Scores:
    path = Path("scores.jsonl")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "\n")
    return read_scores([path])


def test_scores_stand_in_columns_and_in_rows(make_dataset: Callable[..., Path]) -> None:
    target = ["backend=simulated", "dataset=path", f"dataset.path={make_dataset(4)}"]
    assert main([*target, "backend.options.latency_ms=1", "output_dir=run"]) == 0
    lines = rows(Path("run/run_results.jsonl"))
    scores = scores_of(
        {"request_key": lines[0]["request_key"], "exact": True, "note": "good", "bleu": 0.25},
        {"sample_id": "s1", "exact": False},
        {"sample_id": "s2", "repeat": 0, "bleu": 1},
        {"sample_id": "unknown", "bleu": 0.5},
    )
    board = Board(named_runs([Path("run")]), scores=scores)
    board.update()
    page = ReadPage.of_board(board)
    assert page.manifest["scores"] == ["exact", "bleu"]
    assert [number(value) for value in page.column("score.exact")] == [1, 0, None, None]
    assert [number(value) for value in page.column("score.bleu")] == [0.25, None, 1, None]
    shown = [row["results"][0].get("scores") for row in page.rows]
    assert shown == [{"exact": 1, "bleu": 0.25}, {"exact": 0}, {"bleu": 1}, None]


def number(value: float) -> float | None:
    return None if math.isnan(value) else value


def test_what_names_a_result_more_exactly_counts() -> None:
    scores = scores_of(
        {"sample_id": "s", "repeat": 1, "cell": "b", "x": 4},
        {"sample_id": "s", "cell": "b", "x": 3},
        {"sample_id": "s", "repeat": 1, "x": 2},
        {"sample_id": "s", "x": 1},
        {"request_key": "ff" * 32, "x": 5},
    )
    found = [scores.of(0, "s", repeat, cell)["x"] for cell in "ab" for repeat in (0, 1)]
    assert found == [1, 2, 3, 4]
    assert scores.of(0xFFFFFFFFFFFFFFFF, "s", 1, "b") == {"x": 5}
    assert scores.of(0, "t", 0, "a") == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}\n", "scores.jsonl:1: a score needs request_key or sample_id"),
        ('{"sample_id": "a", "x": 1}\n[1]\n', "scores.jsonl:2: a score needs"),
        ("\n{\n", "scores.jsonl:2: not valid JSON"),
        (None, "--scores scores.jsonl cannot be read"),
    ],
    ids=["no name", "no object", "no JSON", "no file"],
)
def test_what_is_no_score_is_told(text: str | None, sentence: str) -> None:
    path = Path("scores.jsonl")
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError) as told:
        read_scores([path])
    assert str(told.value).startswith(sentence)
