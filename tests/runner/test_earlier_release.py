"""Directories that an earlier release has written are gone on with, compared and tracked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import rows
from lm_eval_so import read_results
from lm_eval_so.runner.store.metadata import read_metadata
from lm_eval_so.runner.sweep.__main__ import main
from lm_eval_so.tracking.client import TrackingClient

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., subprocess.CompletedProcess[str]]

WRITTEN = Path(__file__).parent.parent / "fixtures" / "written_by_83ed9b7"
COLOURS = ["dataset=path", "dataset.path=colours", "backend=simulated"]
QUICK = [*COLOURS, "backend.options.latency_ms=1"]
SLOW = [
    *COLOURS,
    *("model=slow", "backend.options.latency_ms=700", "backend.options.latency_sigma=0"),
]
SWEEP = ["-m", *QUICK, "model=two", "params.temperature=0,1", "sweep_name=heat"]


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path) -> Path:
    """The dataset and the run directories, in the working directory."""
    shutil.copytree(WRITTEN, tmp_path, dirs_exist_ok=True)
    return tmp_path / "outputs" / "colours"


def summary(directory: Path) -> dict[str, object]:
    """Of the run, as the file has it."""
    found: dict[str, object] = json.loads((directory / "run_metadata.json").read_bytes())["summary"]
    return found


def requests(directory: Path) -> tuple[object, object]:
    """Those that the last command sent, and the answers that were there before."""
    found = summary(directory)
    return found["requests"], found["resumed"]


def test_a_complete_run_sends_nothing_and_keeps_its_lines(outputs: Path, command: Command) -> None:
    (directory,) = outputs.glob("simulated_one-*")
    before = (directory / "run_results.jsonl").read_bytes()
    done = command(*QUICK, "model=one")
    assert done.returncode == 0, done.stderr
    assert requests(directory) == (0, 4)
    assert (directory / "run_results.jsonl").read_bytes() == before
    assert len(list(outputs.glob("simulated_one*"))) == 1


def test_an_interrupted_run_sends_what_is_owed_alone(outputs: Path, command: Command) -> None:
    (directory,) = outputs.glob("simulated_slow-*")
    before = rows(directory / "run_results.jsonl")
    done = command(*SLOW)
    assert done.returncode == 0, done.stderr
    assert requests(directory) == (1, 3)
    assert rows(directory / "run_results.jsonl")[:3] == before
    metadata = read_metadata(directory)
    assert metadata is not None
    assert (metadata.state, metadata.reason) == ("complete", None)


def test_a_sweep_sends_nothing_and_meets_its_record(outputs: Path, command: Command) -> None:
    done = command(*SWEEP)
    assert done.returncode == 0, done.stderr
    for directory in outputs.glob("simulated_two*"):
        assert requests(directory) == (0, 4)
    (record,) = (outputs / "sweeps").iterdir()
    cells = json.loads((record / "sweep.json").read_bytes())["cells"]
    assert [(cell["state"], cell["ok"]) for cell in cells] == [("complete", 4)] * 2


def test_they_stand_in_a_table_and_side_by_side(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(outputs)]) == 0
    lines = rows(tmp_path / "side_by_side.jsonl")
    assert [line["sample_id"] for line in lines] == ["red", "green", "blue", "grey"]
    assert [answer is None for answer in lines[3]["cells"].values()].count(True) == 1
    assert "partial" in capsys.readouterr().out


def test_they_are_tracked(outputs: Path, database: str) -> None:
    command = [sys.executable, "-m", "lm_eval_so.tracking", str(outputs), "--uri", database]
    subprocess.run(command, check=True)
    client = TrackingClient(database).raw
    (experiment,) = client.search_experiments(filter_string="name = 'colours'")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    directories = [path.parent for path in outputs.glob("*/run_metadata.json")]
    assert sorted(runs) == sorted(directory.name for directory in directories)
    for directory in directories:
        data, metadata = runs[directory.name].data, read_metadata(directory)
        assert metadata is not None
        assert data.tags["lm_eval_so.fingerprint"] == metadata.fingerprint
        assert data.tags["lm_eval_so.state"] == metadata.state
        assert data.params["model"] == metadata.run_config.model
        assert data.metrics["status_counts.ok"] == len(list(read_results(directory)))
