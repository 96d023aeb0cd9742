"""Runs as rows: what may not be counted on is seen."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from lm_eval_so import RunConfig, RunnerOptions, run
from lm_eval_so.runner.sweep.rows import Row, read_row
from lm_eval_so.runner.sweep.table import csv_text, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

WRITTEN = Path(__file__).parents[2] / "fixtures" / "written_by_83ed9b7"


def printed(*rows: Row) -> list[list[str]]:
    screen = io.StringIO()
    print_table(rows, Console(file=screen, width=200))
    return [line.split() for line in screen.getvalue().splitlines()]


def row(state: str = "complete", verdict: str | None = None, **fields: int) -> Row:
    return Row.model_validate({"settings": {}, "state": state, "verdict": verdict, **fields})


@pytest.mark.parametrize(
    ("state", "verdict", "shown"),
    [
        ("complete", "complete", "complete"),
        ("complete", "invalid", "invalid"),
        ("complete", "partial", "partial"),
        ("complete", None, "complete"),
        ("aborted", "partial", "aborted"),
        ("failed", "invalid", "failed"),
        ("owed", None, "owed"),
    ],
)
def test_a_complete_run_shows_its_verdict(state: str, verdict: str | None, shown: str) -> None:
    _, line = printed(row(state, verdict))
    assert line[0] == shown


def test_answers_that_were_cut_off_have_a_column_where_there_are_any() -> None:
    head, one, other = printed(row(ok=3, truncated=2), row(ok=3))
    assert head[:5] == ["state", "ok", "failed", "owed", "cut"]
    assert (one[4], other[4]) == ("2", "-")
    assert "cut" not in printed(row(ok=3, truncated=0), row(ok=3))[0]


def test_csv_has_all_of_it() -> None:
    text = csv_text([row("complete", "invalid", ok=3, truncated=2, refused=1, empty=0), row()])
    one, other = csv.DictReader(io.StringIO(text))
    assert (one["state"], one["verdict"]) == ("complete", "invalid")
    assert (one["truncated"], one["refused"], one["empty"]) == ("2", "1", "0")
    assert (other["verdict"], other["truncated"]) == ("", "")


def test_a_row_is_what_the_run_left(make_dataset: Callable[..., Path]) -> None:
    options = {"latency_ms": 1, "refusal": 1}
    config = RunConfig(backend="simulated", model="m", backend_options=options)
    gates = RunnerOptions.model_validate({"gate": {"refused": 0.5}})
    found = read_row(run(make_dataset(3), config, options=gates).run_dir, {})
    assert (found.state, found.verdict) == ("complete", "invalid")
    assert (found.truncated, found.refused, found.empty) == (0, 3, 0)


def test_a_run_of_an_earlier_release_has_no_verdict_and_no_such_counts() -> None:
    (directory,) = WRITTEN.glob("outputs/colours/simulated_one-*")
    found = read_row(directory, {})
    assert (found.state, found.ok, found.verdict, found.truncated) == ("complete", 4, None, None)
    assert "truncated" not in json.loads((directory / "run_metadata.json").read_bytes())["summary"]
