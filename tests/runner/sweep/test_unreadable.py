"""Files that are no run's, or no more: a row with the reason, beside those that can be read."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from conftest import rows
from lm_eval_so import RunConfig, run
from lm_eval_so.runner.sweep.__main__ import main
from lm_eval_so.runner.sweep.rows import read_row

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

METADATA = "run_metadata.json"
STRAY = {
    "empty": b"",
    "torn": b'{"schema_version": 1, "state": "runn',
    "list": b"[]",
    "null": b"null",
    "number": b"3",
    "no-key": b"{}",
    "of-another-tool": b'{"run": "x", "metrics": {"loss": 1.5}}',
    "no-utf8": b"\xff\xfe",
    "nuls": b"\0" * 100,
}
each_stray = pytest.mark.parametrize("text", STRAY.values(), ids=list(STRAY))


@pytest.fixture
def cell(make_dataset: Callable[..., Path]) -> Callable[..., Path]:
    """Makes a run directory."""

    def make(model: str) -> Path:
        options = {"latency_ms": 1, "answer": "fixed", "text": f"from {model}"}
        config = RunConfig(backend="simulated", model=model, backend_options=options)
        return run(make_dataset(3), config, output_dir=f"cells/{model}").run_dir

    return make


def stray(folder: Path, text: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / METADATA).write_bytes(text)
    return folder


def changed(directory: Path, **fields: object) -> None:
    path = directory / METADATA
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@each_stray
def test_a_stray_file_is_a_row_with_its_reason(text: bytes, tmp_path: Path) -> None:
    row = read_row(stray(tmp_path / "cell", text), {"model": "m"})
    assert (row.state, row.ok, row.settings) == ("damaged", None, {"model": "m"})
    assert row.error is not None
    assert f"{tmp_path / 'cell' / METADATA} cannot be read" in row.error
    assert "\n" not in row.error


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"summary": 3}, id="summary"),
        pytest.param({"summary": {"total": 3}}, id="half-a-summary"),
        pytest.param({"dataset": None}, id="dataset"),
        pytest.param({"dataset": {"id": "numbers"}}, id="half-a-dataset"),
        pytest.param({"run_config": []}, id="config"),
        pytest.param({"run_config": {"parameters": 7}}, id="parameters"),
        pytest.param({"repeats": "often"}, id="repeats"),
        pytest.param({"state": None}, id="state"),
    ],
)
def test_a_value_of_another_type_is_a_row_beside_the_others(
    fields: dict[str, object],
    cell: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cell("one")
    cell("two")
    broken = cell("three")
    changed(broken, **fields)
    assert main(["cells"]) == 0
    with (tmp_path / "side_by_side.csv").open() as file:
        table = {row["directory"]: row for row in csv.DictReader(file)}
    assert [row["state"] for row in table.values()] == ["complete", "complete", "damaged"]
    assert table[str(broken)]["model"] == ""
    assert "cannot be read" in table[str(broken)]["error"]
    assert f"damaged: {broken}: " in capsys.readouterr().out
    for line in rows(tmp_path / "side_by_side.jsonl"):
        assert [answer["text"] for answer in line["cells"].values()] == ["from one", "from two"]


@each_stray
def test_a_folder_of_stray_files_alone_is_one_sentence(
    text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stray(tmp_path / "cells" / "a", text)
    assert main(["cells"]) == 2
    assert f"error: cells/a/{METADATA} cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "side_by_side.jsonl").exists()


def test_a_folder_in_the_place_of_the_file_is_a_row(
    cell: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell("one")
    (tmp_path / "cells" / "a" / METADATA).mkdir(parents=True)
    assert main(["cells"]) == 0
    assert "damaged: cells/a: " in capsys.readouterr().out


def test_what_a_newer_release_wrote_is_told_beside_the_others_and_not_passed_over(
    cell: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell("one")
    changed(cell("two"), schema_version=2)
    assert main(["cells"]) == 2
    told = capsys.readouterr()
    assert f"newer: cells/two: cells/two/{METADATA} has schema_version 2" in told.out
    assert "update lm-eval-so" in told.err
    assert len(rows(tmp_path / "side_by_side.jsonl")[0]["cells"]) == 1


def test_lines_of_a_newer_release_are_not_counted(cell: Callable[..., Path]) -> None:
    directory = cell("one")
    changed(directory, summary=None, state="running")
    results = directory / "run_results.jsonl"
    results.write_text(results.read_text().replace('"schema_version":2', '"schema_version":3'))
    row = read_row(directory, {})
    assert (row.state, row.ok) == ("newer", None)
    assert row.error is not None
    assert f"{results} has schema_version 3" in row.error


@pytest.mark.parametrize("line", ["3", "[]", "{}", '{"sample_id": "s0"}', "torn"])
def test_a_damaged_line_is_one_sentence(
    line: str, cell: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    results = cell("one") / "run_results.jsonl"
    with results.open("a") as file:
        file.write(f"{line}\n")
    assert main(["cells"]) == 2
    assert f"error: a line of {results} is damaged" in capsys.readouterr().err


def test_a_sweep_meets_a_damaged_cell_and_runs_the_others(
    command: Callable[..., subprocess.CompletedProcess[str]],
    make_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    words = ["-m", "dataset=path", f"dataset.path={make_dataset(3)}", "backend=simulated"]
    assert command(*words, "model=a,b").returncode == 0
    (damaged,) = tmp_path.glob("outputs/numbers/simulated_a-*")
    changed(damaged, schema_version=2)
    done = command(*words, "model=a,b,c")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (record,) = (
        found
        for path in tmp_path.glob("outputs/numbers/sweeps/*/sweep.json")
        if len(found := json.loads(path.read_text())["cells"]) == 3
    )
    assert [cell["exit_code"] for cell in record] == [2, 0, 0]
    assert "schema_version 2" in record[0]["error"]
