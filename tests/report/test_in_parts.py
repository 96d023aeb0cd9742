"""A run that stays in parts is shown, exported and read as if its lines were in one file."""

from __future__ import annotations

import json
import re
from itertools import count
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.report.board import Board
from lm_eval_so.report.command import check_output
from lm_eval_so.report.export.cli import main as export
from lm_eval_so.report.export.registry import FORMATS
from lm_eval_so.report.run_index import RunIndex
from lm_eval_so.report.runs import named_runs
from lm_eval_so.report.view.folder import Folder
from lm_eval_so.report.view.open_board import OpenBoard
from lm_eval_so.report.view.walk import walk
from lm_eval_so.report.write import write_report
from lm_eval_so.runner.errors import ConfigError, StoreError
from lm_eval_so.runner.run.report import RunReport
from lm_eval_so.runner.store.parts import layout
from lm_eval_so.runner.store.read import read_results
from lm_eval_so.runner.sweep.rows import read_row
from lm_eval_so.runner.sweep.side_by_side import side_by_side
from support.parts import RESULTS, into_parts, seal, write_part
from support.run_directories import answered, failed, write_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lm_eval_so.runner.models import RunResult

SAMPLES = 40
CUTS = [7, 8, 30]


def _results(model: str) -> list[RunResult]:
    return [
        failed(f"s{n}", f"down {n % 3}") if n % 9 == 4 else answered(f"s{n}", f"{model} {n} 한국어")
        for n in range(SAMPLES)
    ]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    return [write_run(tmp_path / "outputs" / model, _results(model), model=model) for model in "ab"]


def cut(runs: list[Path]) -> None:
    """One run is all parts, of the other a shard is still in the results file."""
    into_parts(runs[0], CUTS)
    into_parts(runs[1], CUTS, joined=(2,))


def runs_in(folder: Path) -> list[Path]:
    return sorted((folder / "outputs").iterdir())


def of_page(folder: Path) -> object:
    write_report(runs_in(folder), folder / "report.html")
    return re.sub(rb'"created_at":"[^"]+"', b"", (folder / "report.html").read_bytes())


def of_view(folder: Path) -> object:
    board = opened_board(folder)
    assert board.snapshot is not None
    manifest = json.loads(board.snapshot.manifest)
    blocks = [board.block(number) for number in range(board.snapshot.blocks)]
    assert None not in blocks
    return (
        {**manifest, "revision": 0, "created_at": ""},
        b"".join(board.snapshot.columns.pieces()),
        blocks,
    )


def of_pandas(folder: Path) -> object:
    return [RunReport.load(run).to_pandas().to_json() for run in runs_in(folder)]


def of_results(folder: Path) -> object:
    return [
        [list(read_results(run)), list(RunReport.load(run).results())] for run in runs_in(folder)
    ]


def of_side_by_side(folder: Path) -> object:
    return list(side_by_side([(run.name, run) for run in runs_in(folder)]))


def of_export(form: str) -> Callable[[Path], object]:
    def exported(folder: Path) -> object:
        name = folder / f"exported-{form}"
        assert export([*map(str, runs_in(folder)), "--to", form, "-o", str(name)]) == 0
        return name.read_bytes()

    return exported


READERS = {
    "report": of_page,
    "view": of_view,
    "to_pandas": of_pandas,
    "read_results": of_results,
    "side_by_side": of_side_by_side,
    **{form: of_export(form) for form in sorted(FORMATS.keys() - {"inspect", "xlsx"})},
}


def opened_board(folder: Path, cache: Path | None = None) -> OpenBoard:
    found = Folder((folder / "outputs").resolve()).look()
    board = OpenBoard("t", found.root, cache)
    board.refresh([found.runs[id_] for id_ in sorted(found.runs)])
    assert board.problem is None
    return board


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_in_parts_it_is_read_as_in_one_file(
    runs: list[Path], tmp_path: Path, read: Callable[[Path], object]
) -> None:
    before = read(tmp_path)
    cut(runs)
    assert not (runs[0] / RESULTS).exists()
    assert read(tmp_path) == before


def test_the_counts_of_a_run_without_a_summary_are_those_of_its_parts(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lm_eval_so.report.view.folder._COUNTING_S", 600)
    for run in runs:
        text = json.loads((run / "run_metadata.json").read_text()) | {"summary": None}
        (run / "run_metadata.json").write_text(json.dumps({**text, "state": "running"}))
    folder = Folder((tmp_path / "outputs").resolve())

    def counts() -> list[tuple[int, ...] | None]:
        found = folder.look()
        by_id, ids = folder.counts_of(found), {run.path: run.id for run in found.runs.values()}
        return [by_id[ids[run]] for run in runs]

    before, rows = counts(), [read_row(run, {}) for run in runs]
    assert before == [(36, 4, 0, True)] * 2
    cut(runs)
    (runs[0] / layout.PARTS / layout.marker_name(7)).unlink()
    assert counts() == before
    assert [read_row(run, {}) for run in runs] == rows
    write_part(runs[0], 7, 9, [failed("s7").model_dump_json().encode() + b"\n"])
    assert counts() == [(35, 5, 0, True), before[1]]


def test_the_page_follows_parts_that_come_grow_and_are_sealed(
    runs: list[Path], tmp_path: Path
) -> None:
    lines = (runs[0] / RESULTS).read_bytes().splitlines(keepends=True)
    into_parts(runs[0], [20], sealed=False)
    write_part(runs[0], 0, 1, lines[:3])
    write_part(runs[0], 20, 2, lines[20:21])
    found = Folder((tmp_path / "outputs").resolve()).look()
    (run,) = (one for one in found.runs.values() if one.path == runs[0])
    clock = count(0.0, 10.0)
    board = OpenBoard("t", found.root, None, clock=lambda: next(clock))

    def shown() -> list[str]:
        board.refresh([run])
        assert board.problem is None
        assert board.snapshot is not None
        (block,) = (board.block(number) for number in range(board.snapshot.blocks))
        assert block is not None
        return [row["id"] for row in json.loads(block)]

    assert shown() == ["s0", "s1", "s2", "s20"]
    write_part(runs[0], 20, 2, lines[20:])
    assert shown() == ["s0", "s1", "s2", *(f"s{n}" for n in range(20, 40))]
    write_part(runs[0], 0, 3, lines[:20])
    seal(runs[0], 0, 20, 3)
    assert shown() == [f"s{n}" for n in range(40)]


def test_an_index_is_kept_until_a_part_changes(runs: list[Path]) -> None:
    into_parts(runs[0], CUTS)
    index = RunIndex(runs[0])
    assert index.extend() == (40, False)
    assert index.extend() == (0, False)
    assert index.is_as_read()
    write_part(runs[0], 30, 5, [])
    lines = (runs[0] / layout.PARTS / layout.part_name(0, 1)).read_bytes().splitlines(keepends=True)
    write_part(runs[0], 0, 6, lines[:5])
    seal(runs[0], 0, 7, 6)
    assert not index.is_as_read()
    assert index.extend() == (38, True)


def test_a_page_is_written_while_parts_grow(runs: list[Path]) -> None:
    into_parts(runs[0], CUTS, sealed=False)
    board = Board(named_runs([runs[0]]))
    board.update()
    path = runs[0] / layout.PARTS / layout.part_name(0, 1)
    with path.open("ab") as part:
        part.write(answered("s7").model_dump_json().encode() + b"\n")
    rows = [row for number in range(board.blocks) for row in json.loads(board.block(number))]
    assert [row["id"] for row in rows] == [f"s{n}" for n in range(SAMPLES)]
    assert all(row["results"][0] for row in rows)


@pytest.mark.parametrize("name", [layout.SHARDS, layout.JOINED, "parts/x.csv"])
def test_what_is_read_of_a_run_in_parts_is_never_replaced(runs: list[Path], name: str) -> None:
    cut(runs)
    with pytest.raises(ConfigError, match="is a file that is read"):
        check_output(runs[1] / name, runs, runs, [])


def test_parts_are_no_folders_to_look_for_runs(runs: list[Path], tmp_path: Path) -> None:
    cut(runs)
    write_run(runs[0] / layout.PARTS / "copy", [answered("a")])
    assert sorted(walk((tmp_path / "outputs").resolve()).runs) == sorted(runs)


def test_parts_that_a_link_leads_to_are_not_shown(runs: list[Path], tmp_path: Path) -> None:
    into_parts(runs[0], CUTS)
    parts = runs[0] / layout.PARTS
    parts.rename(tmp_path / "elsewhere")
    parts.symlink_to(tmp_path / "elsewhere")
    found = Folder((tmp_path / "outputs").resolve()).look()
    board = OpenBoard("t", found.root, None)
    board.refresh([run for run in found.runs.values() if run.path == runs[0]])
    assert board.snapshot is None
    assert "leads out of the folder" in (board.problem or "")


def test_the_report_of_a_run_in_parts_names_its_folder(runs: list[Path]) -> None:
    cut(runs)
    for path in (runs[0], runs[0] / RESULTS):
        assert RunReport.load(path).results_path == runs[0] / layout.PARTS
    with pytest.raises(StoreError, match="the run is in parts; name its directory"):
        list(read_results(runs[0] / RESULTS))
