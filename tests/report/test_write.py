"""The page as a file: whole, of one state of the runs, or not written at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.report.scores import Scores
from lm_eval_so.report.write import write_report
from lm_eval_so.runner.errors import LmEvalError, StoreError
from lm_eval_so.runner.hydra_app.app import main
from support.report_page import ReadPage

if TYPE_CHECKING:
    from collections.abc import Callable

OUTPUT = Path("report.html")


@pytest.fixture
def run_dir(make_dataset: Callable[..., Path]) -> Path:
    target = ["backend=simulated", "dataset=path", f"dataset.path={make_dataset(5)}"]
    assert main([*target, "backend.options.latency_ms=1", "output_dir=run"]) == 0
    return Path("run")


class ReplacingScores(Scores):
    """While the page is made, the run puts its lines into another order, so many times."""

    def __init__(self, run_dir: Path, times: int) -> None:
        super().__init__()
        self.add({"sample_id": "s0", "x": 1})
        self._path, self._left = run_dir / "run_results.jsonl", times

    def of(self, request: int, sample_id: str, repeat: int, cell: str) -> dict[str, float]:
        if self._left:
            self._left -= 1
            new = self._path.with_name("new")
            new.write_bytes(b"".join(reversed(self._path.read_bytes().splitlines(keepends=True))))
            new.replace(self._path)
        return super().of(request, sample_id, repeat, cell)


def test_a_run_that_is_replaced_while_it_is_read_is_read_again(run_dir: Path) -> None:
    write_report([run_dir], OUTPUT, ReplacingScores(run_dir, 1))
    page = ReadPage.of_file(OUTPUT)
    assert page.ids == [row["id"] for row in page.rows] == ["s4", "s3", "s2", "s1", "s0"]
    assert all(row["results"][0] for row in page.rows)


def test_a_run_that_is_replaced_all_the_time_is_told(run_dir: Path) -> None:
    with pytest.raises(StoreError, match="replaced again and again"):
        write_report([run_dir], OUTPUT, ReplacingScores(run_dir, 1_000_000))
    assert not [*Path().glob("report.html*")]


def test_what_cannot_be_written_says_nothing_of_resuming(run_dir: Path) -> None:
    with pytest.raises(LmEvalError) as told:
        write_report([run_dir], Path("missing/report.html"))
    assert str(told.value) == "cannot write missing/report.html: No such file or directory"


def test_what_cannot_be_read_is_told_as_that(run_dir: Path) -> None:
    shutil.move(run_dir / "run_results.jsonl", "away")
    (run_dir / "run_results.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"run_results\.jsonl cannot be read: Is a directory"):
        write_report([run_dir], OUTPUT)


def test_what_is_no_file_is_not_replaced(run_dir: Path) -> None:
    with pytest.raises(LmEvalError, match="no file"):
        write_report([run_dir], Path("/dev/null"))
    assert Path("/dev/null").is_char_device()
