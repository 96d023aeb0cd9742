"""``python -m lm_eval_so.runner.sweep``: run directories from anywhere, side by side."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from conftest import rows
from lm_eval_so import RunConfig, run
from lm_eval_so.runner.sweep.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def cell(make_dataset: Callable[..., Path]) -> Callable[..., Path]:
    """Makes a run directory."""

    def make(model: str, samples: int = 3, **changed: str) -> Path:
        options = {"latency_ms": 1, "answer": "fixed", "text": f"from {model}"}
        config = RunConfig(backend="simulated", model=model, backend_options=options)
        return run(make_dataset(samples, **changed), config, output_dir=f"cells/{model}").run_dir

    return make


def test_each_line_has_one_sample_and_the_answer_of_every_cell(
    cell: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directories = [cell("one"), cell("two")]
    assert main([*map(str, directories)]) == 0
    lines = rows(tmp_path / "side_by_side.jsonl")
    assert [line["sample_id"] for line in lines] == ["s0", "s1", "s2"]
    for line in lines:
        texts = [answer["text"] for answer in line["cells"].values()]
        assert texts == ["from one", "from two"]
        assert line["request_messages"][0]["content"].startswith("question")
    with (tmp_path / "side_by_side.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["model"], row["state"], row["ok"]) for row in table] == [
        ("one", "complete", "3"),
        ("two", "complete", "3"),
    ]
    shown = capsys.readouterr().out
    assert "one" in shown
    assert "two" in shown


def test_run_directories_are_found_below_a_folder(
    cell: Callable[..., Path], tmp_path: Path
) -> None:
    cell("one")
    cell("two")
    assert main(["cells", "--output", "both.jsonl"]) == 0
    assert len(rows(tmp_path / "both.jsonl")[0]["cells"]) == 2


def test_datasets_that_differ_are_refused_unless_asked_for(
    cell: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directories = [str(cell("one", 2)), str(cell("two", 3))]
    assert main(directories) == 2
    assert "--mixed-datasets" in capsys.readouterr().err
    assert not (tmp_path / "side_by_side.jsonl").exists()
    assert main([*directories, "--mixed-datasets"]) == 0
    last = rows(tmp_path / "side_by_side.jsonl")[-1]
    assert last["sample_id"] == "s2"
    assert [answer and answer["status"] for answer in last["cells"].values()] == [None, "ok"]


def test_no_answer_stands_below_the_messages_of_another_dataset(
    cell: Callable[..., Path], tmp_path: Path
) -> None:
    directories = [str(cell("one")), str(cell("two", s1="quite another"))]
    assert main([*directories, "--mixed-datasets"]) == 0
    lines = rows(tmp_path / "side_by_side.jsonl")
    assert [line["sample_id"] for line in lines] == ["s0", "s1", "s2", "s1"]
    for line in (lines[1], lines[3]):
        (text,) = [answer["text"] for answer in line["cells"].values() if answer]
        other = line["request_messages"][0]["content"] == "quite another"
        assert text == ("from two" if other else "from one")


def test_a_folder_without_runs_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "no run directory in" in capsys.readouterr().err


def test_failures_stand_beside_answers(cell: Callable[..., Path], tmp_path: Path) -> None:
    directory = cell("one")
    results = directory / "run_results.jsonl"
    lines = rows(results)
    lines[1].update(status="error", response=None)
    lines[1]["error"] = {
        "error_type": "BadRequestError", "message": "m", "status_code": 400, "retryable": False,
    }  # fmt: skip
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main([str(directory)]) == 0
    (answer,) = rows(tmp_path / "side_by_side.jsonl")[1]["cells"].values()
    assert (answer["status"], answer["text"], answer["error"]) == ("error", None, "BadRequestError")


def test_answers_have_reasons_and_what_there_is_beside_the_text(
    cell: Callable[..., Path], tmp_path: Path
) -> None:
    directory = cell("one")
    results = directory / "run_results.jsonl"
    lines = rows(results)
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    lines[0]["response"].update(finish_reason="tool_calls", reasoning="hm", tool_calls=calls)
    lines[2].update(status="error", response=None, error=None)
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert main([str(directory)]) == 0
    first, second, third = (
        answer
        for line in rows(tmp_path / "side_by_side.jsonl")
        for answer in line["cells"].values()
    )
    assert (first["finish_reason"], first["reasoning"]) == ("tool_calls", "hm")
    assert first["tool_calls"] == calls
    assert second["finish_reason"] == "stop"
    assert second.keys().isdisjoint({"reasoning", "tool_calls"})
    assert third["finish_reason"] is None
