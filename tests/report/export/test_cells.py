"""Which results an export has: of which directories, and of a run that goes on."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from lm_eval_so.report.export.cell import open_cells
from lm_eval_so.report.export.cli import main
from lm_eval_so.report.export.export import Export
from lm_eval_so.runner.errors import LmEvalError, NewerVersionError
from support.run_directories import answered, failed, sweep_of, write_run

WRITTEN = Path(__file__).parents[2] / "fixtures" / "written_by_83ed9b7" / "outputs" / "colours"


def rows(*folders: Path) -> list[dict[str, object]]:
    return list(Export(open_cells(folders)).rows())


def test_a_single_run_has_the_columns_of_to_pandas_and_no_others(tmp_path: Path) -> None:
    run = write_run(tmp_path / "one", [answered()])
    export = Export(open_cells([run]))
    assert next(iter(export.columns)) == "sample_id"
    assert not [name for name in export.columns if name.startswith(("cell", "score."))]


def test_several_runs_say_which_and_what_varies(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", [answered()], model="a")
    other = write_run(tmp_path / "other", [answered(), failed("t")], model="b")
    export = Export(open_cells([one, other]))
    assert list(export.columns)[:3] == ["cell", "cell.model", "sample_id"]
    found = [(row["cell"], row["cell.model"], row["sample_id"]) for row in export.rows()]
    assert found == [("model=a", "a", "s"), ("model=b", "b", "s"), ("model=b", "b", "t")]


def test_runs_that_differ_in_nothing_are_named_by_their_directories(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, [answered()]) for name in ("one", "other")]
    assert [cell.name for cell in open_cells(runs)] == ["one", "other"]


def test_a_folder_stands_for_the_runs_in_it_and_each_is_there_once(tmp_path: Path) -> None:
    for name in ("x/one", "y/other"):
        write_run(tmp_path / name, [answered()])
    assert len(rows(tmp_path, tmp_path / "x")) == 2


def test_a_sweep_stands_for_its_cells_also_when_all_was_moved(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "d" / name, [answered()], model=name) for name in ("a", "b")]
    write_run(tmp_path / "d" / "another", [answered()])
    assert len(rows(sweep_of(tmp_path / "d" / "sweeps" / "here", runs))) == 2
    moved = [Path("elsewhere") / run.name for run in runs]
    assert len(rows(sweep_of(tmp_path / "d" / "sweeps" / "moved", moved))) == 2


def test_the_directories_of_an_earlier_release_are_read() -> None:
    found = rows(WRITTEN)
    assert len(found) == 15
    assert {row["cell.model"] for row in found} == {"one", "slow", "two"}
    assert len(rows(WRITTEN / "sweeps" / "heat")) == 8


def test_repeats_are_rows_of_their_own(tmp_path: Path) -> None:
    results = [answered(repeat=n, request_key=f"k{n}") for n in range(3)]
    run = write_run(tmp_path / "one", results, samples=1, repeats=3)
    export = Export(open_cells([run]))
    assert [row["repeat"] for row in export.rows()] == [0, 1, 2]
    assert export.notes == []


def test_samples_without_an_outcome_are_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "one", [answered()], samples=4, state="partial")
    export = Export(open_cells([run]))
    assert len(list(export.rows())) == len(list(export.rows())) == 1
    assert export.notes == ["3 of 4 samples of b_m have no outcome yet, and are not in the file"]


@pytest.mark.parametrize("state", ["running", "complete"])
def test_damaged_lines_are_left_out_and_told(tmp_path: Path, state: str) -> None:
    run = write_run(tmp_path / "one", [answered()], state=state, summary=None)
    with (run / "run_results.jsonl").open("a") as file:
        file.write('{"sample_id": "t"}\n{"sample_')
    export = Export(open_cells([run]))
    assert [row["sample_id"] for row in export.rows()] == ["s"]
    assert export.notes == [f"left out 2 damaged lines of {run / 'run_results.jsonl'}"]


def test_a_run_that_goes_on_has_one_row_a_sample_the_answer_or_else_the_newest_failure(
    tmp_path: Path,
) -> None:
    results = [
        failed("a", "first"),
        failed("b", "first"),
        answered("a"),
        failed("b", "second"),
        failed("a", "late"),
    ]
    run = write_run(tmp_path / "one", results, samples=2, state="running", summary=None)
    found = [(row["sample_id"], row["status"], row["error"]) for row in rows(run)]
    assert found == [("a", "ok", None), ("b", "error", "second")]


def test_of_a_sample_that_was_edited_a_run_that_goes_on_has_what_was_asked_last(
    tmp_path: Path,
) -> None:
    results = [
        answered("a", "old", request_key="old"),
        answered("b", "old", request_key="old"),
        failed("b", "new", request_key="new"),
        answered("a", "new", request_key="new"),
        failed("a", "late", request_key="new"),
    ]
    run = write_run(tmp_path / "one", results, samples=3, state="running", summary=None)
    export = Export(open_cells([run]))
    assert [(row["sample_id"], row["request_key"]) for row in export.rows()] == [
        ("b", "new"),
        ("a", "new"),
    ]
    assert export.notes == ["1 of 3 samples of b_m have no outcome yet, and are not in the file"]


def test_a_run_that_is_named_in_two_ways_is_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "one", [answered()])
    monkeypatch.chdir(tmp_path)
    assert len(rows(Path("one"), run)) == 1


def test_a_run_that_has_no_results_yet_has_no_rows(tmp_path: Path) -> None:
    run = write_run(tmp_path / "one", [], samples=2, state="running", summary=None)
    (run / "run_results.jsonl").unlink()
    assert rows(run) == []


def test_what_a_newer_release_wrote_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "one", [answered(schema_version=99)])
    with pytest.raises(NewerVersionError):
        rows(run)


def test_a_folder_without_a_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(LmEvalError, match="found no run in"):
        rows(tmp_path)


def test_a_damaged_sweep_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(LmEvalError, match=r"sweep\.json is damaged"):
        rows(tmp_path)


class TestScores:
    def table(
        self, tmp_path: Path, lines: list[object], capsys: pytest.CaptureFixture[str]
    ) -> list[dict[str, str]]:
        run = write_run(tmp_path / "one", [answered("a"), answered("b")])
        scores = tmp_path / "scores.jsonl"
        scores.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        code = main([str(run), "--to", "csv", "-o", "-", "--scores", str(scores)])
        self.told = capsys.readouterr()
        return [] if code else list(csv.DictReader(io.StringIO(self.told.out.lstrip("\ufeff"))))

    def test_are_joined_by_the_request_key(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lines = [
            {"request_key": "key-b", "right": True, "note": "good", "repeat": 0},
            {"request_key": "key-b", "length": 2.5},
            {"request_key": "key-c", "right": False},
        ]
        one, other = self.table(tmp_path, lines, capsys)
        assert (one["score.right"], one["score.length"]) == ("", "")
        assert (other["score.right"], other["score.length"]) == ("1.0", "2.5")
        assert not {"score.note", "score.repeat"} & one.keys()

    def test_of_other_results_are_told(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.table(tmp_path, [{"request_key": "?", "right": 1}], capsys)
        assert "note: no result is one of those that --scores names" in self.told.err

    @pytest.mark.parametrize("line", [[], {"right": 1}])
    def test_of_nobody_are_one_sentence(
        self, tmp_path: Path, line: object, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert not self.table(tmp_path, [line], capsys)
        assert "scores.jsonl:1: a score needs request_key" in self.told.err
