"""What a person names becomes run directories."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lm_eval_so.report.find import find
from lm_eval_so.runner.errors import ConfigError, StoreError
from lm_eval_so.runner.hydra_app.app import main

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = ["backend=simulated", "backend.options.latency_ms=1"]


@pytest.fixture
def sweep() -> Path:
    """A sweep of the toy dataset in the default place."""
    assert main(["-m", *QUICK, "model=a,b", "sweep_name=both"]) == 0
    return Path("outputs/toy_support_qa_v1/sweeps/both")


def cells() -> set[Path]:
    return set(Path("outputs/toy_support_qa_v1").glob("simulated_*"))


@pytest.mark.parametrize("named", ["sweeps/both", "sweeps/both/sweep.json", "."])
def test_a_sweep_and_a_folder_are_their_runs(sweep: Path, named: str) -> None:
    found = find([sweep.parent.parent / named])
    assert set(found.directories) == cells()
    assert len(found.directories) == 2
    assert found.home == (sweep if "both" in named else sweep.parent.parent)


@pytest.mark.usefixtures("sweep")
def test_a_run_is_itself_by_its_folder_or_a_file_of_it() -> None:
    one, other = sorted(cells())
    assert find([one]) == (one, [one])
    assert find([one / "run_metadata.json"]).directories == [one]
    assert find([other, one, other]) == (Path(), [other, one])


def test_a_sweep_that_was_moved_is_found_beside_its_record(sweep: Path, tmp_path: Path) -> None:
    shutil.move("outputs", tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere" / Path(*sweep.parts[1:])
    found = find([moved])
    assert {path.parent for path in found.directories} == {moved.parent.parent}
    assert len(found.directories) == 2


def test_nothing_named_is_the_sweep_or_the_run_that_was_written_last(sweep: Path) -> None:
    assert find([]).home == sweep
    assert main([*QUICK, "model=c"]) == 0
    (last,) = (path for path in cells() if "_c" in path.name)
    assert find([]) == (last, [last])


def test_a_run_of_a_sweep_that_goes_on_stands_for_the_sweep(sweep: Path) -> None:
    record = sweep / "sweep.json"
    text = record.read_text()
    begin, end = text.index('"ended_at": "'), text.index(",", text.index('"ended_at": "'))
    record.write_text(text[:begin] + '"ended_at": null' + text[end:])
    os.utime(record, (1, 1))
    assert find([]).home == sweep


@pytest.mark.usefixtures("sweep")
def test_a_folder_with_several_datasets_is_told_unless_each_is_named(
    make_dataset: Callable[..., Path],
) -> None:
    assert main([*QUICK, "dataset=path", f"dataset.path={make_dataset(2)}"]) == 0
    with pytest.raises(ConfigError, match=r"outputs has runs of 2 datasets \(.*numbers.*name one"):
        find([Path("outputs")])
    folders = [Path("outputs/numbers"), Path("outputs/toy_support_qa_v1")]
    assert len(find(folders).directories) == 3


@pytest.mark.usefixtures("sweep")
def test_a_damaged_run_of_a_folder_is_left_out_and_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, other = sorted(cells())
    (one / "run_metadata.json").write_text("{")
    assert find([one.parent]).directories == [other]
    assert "left out: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ([], "found no run in outputs; name a run directory"),
        ([Path("nowhere")], "nowhere does not exist"),
        ([Path()], "found no run in ."),
        ([Path("file")], "file is no run directory"),
    ],
    ids=["default", "nowhere", "empty", "file"],
)
def test_where_there_is_no_run_it_is_told(named: list[Path], sentence: str) -> None:
    Path("file").write_text("x")
    with pytest.raises(ConfigError) as told:
        find(named)
    assert sentence in str(told.value)


def test_a_sweep_whose_record_is_damaged_is_told(sweep: Path) -> None:
    (sweep / "sweep.json").write_text("[")
    with pytest.raises(StoreError, match=r"sweep\.json cannot be read"):
        find([sweep])
