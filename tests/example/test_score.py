"""Both ways to score a run: its results file, and its traces in MLflow."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from conftest import REPOSITORY, rows
from lm_eval_so import RunConfig, RunnerOptions, run
from lm_eval_so.runner.errors import BudgetSpentError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCRIPTS = REPOSITORY / "example/score"
DATA = SCRIPTS / "dataset/capitals_v1"


def command_of(script: str) -> list[str]:
    """The command that stands in the text of a script, without the name of the program."""
    text = ast.get_docstring(ast.parse((SCRIPTS / script).read_text()))
    assert text is not None
    (shown,) = re.findall(r"^    lm-eval-so (.*)", text, re.MULTILINE | re.DOTALL)
    return shlex.split(shown)


def scored(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPTS / script, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.mark.timeout(300)
def test_the_commands_of_the_scripts_leave_a_run_that_both_score_alike(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "example").symlink_to(REPOSITORY / "example")
    assert command(*command_of("score.py")).returncode == 0
    ours = scored("score.py", tmp_path, "outputs/capitals")
    assert ours.returncode == 0, ours.stderr
    right, total, share = re.findall(r"^(\d+) of (\d+) are right \((\d+%)\)", ours.stdout)[0]
    assert (int(right) > 0, total) == (True, "12")

    done = command(*command_of("score_mlflow.py"))
    assert "MLflow lacks" not in done.stderr, done.stderr
    theirs = scored("score_mlflow.py", tmp_path, "outputs/capitals")
    assert theirs.returncode == 0, theirs.stderr
    assert theirs.stdout.rstrip().endswith(f"{share} of 12 are right")


def test_what_failed_was_cut_off_or_is_owed_counts_as_wrong(tmp_path: Path) -> None:
    asked = rows(DATA / "test.jsonl")
    answers = tmp_path / "answers.jsonl"  # all are right, but the second sample gets none
    known = [{"id": one["id"], "text": one["expected"]} for one in asked if one != asked[1]]
    answers.write_text("".join(json.dumps(one) + "\n" for one in known))
    options = {"latency_ms": 1, "answer": "file", "answers_path": str(answers)}
    limits = {"max_concurrency": 1, "max_retries": 0, "budget": {"requests": 8}}
    with pytest.raises(BudgetSpentError):
        run(
            DATA,
            RunConfig(backend="simulated", model="m", backend_options=options),
            options=RunnerOptions.model_validate(limits),
            output_dir="stopped",
        )
    results = tmp_path / "stopped" / "run_results.jsonl"
    lines = rows(results)
    lines[0]["response"]["finish_reason"] = "length"
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = scored("score.py", tmp_path, "stopped")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("6 of 12 are right (50%)")
    assert "geography: 4 of 6" in done.stdout
    assert "the run is partial: 4 of 12 samples have no outcome" in done.stdout


def test_a_run_that_has_not_ended_is_not_scored(tmp_path: Path) -> None:
    report = run(DATA, RunConfig(backend="simulated", model="m"), output_dir="killed")
    metadata = json.loads(report.metadata_path.read_text())
    report.metadata_path.write_text(json.dumps({**metadata, "state": "running", "summary": None}))
    done = scored("score.py", tmp_path, "killed")
    assert done.returncode == 1
    assert done.stderr == "killed has not ended; the same lm-eval-so command resumes it\n"
