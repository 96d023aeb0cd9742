"""Sweeps with ``tracking=mlflow``: one parent, and a nested run for each cell."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from conftest import program
from support.fake_openai import FakeOpenAI, Received, Reply
from support.mlflow_tree import Node, tree
from support.tracked import assert_equals_the_summary, of_dataset, run_dir, wait_for

if TYPE_CHECKING:
    from pathlib import Path

Command = Callable[..., subprocess.CompletedProcess[str]]
GRID = ["-m", "model=a,b", "params.temperature=0,1"]


def parent_of(uri: str, experiment: str = "numbers") -> Node:
    (found,) = tree(uri, experiment).values()
    return found


def test_four_cells_are_one_parent_and_four_nested_runs(
    command: Command, make_dataset: Callable[..., Path], database: str
) -> None:
    done = command(
        *of_dataset(make_dataset(5), "backend=simulated", f"tracking.uri={database}", *GRID)
    )
    assert done.returncode == 0, done.stderr
    parent = parent_of(database)
    assert parent.status == "FINISHED"
    assert (parent.metrics["cells"], parent.metrics["cells.complete"]) == (4, 4)
    assert parent.metrics["ok"] == 20
    assert parent.artifacts == {"sweep.json", "sweep.csv"}
    assert set(parent.children) == {f"model={m} temperature={t}" for m in "ab" for t in "01"}
    for cell in parent.children.values():
        assert (cell.status, cell.children) == ("FINISHED", {})
        assert_equals_the_summary(cell, run_dir(cell))
    settings = {
        (c.params["model"], c.params["params.temperature"]) for c in parent.children.values()
    }
    assert settings == {("a", "0"), ("a", "1"), ("b", "0"), ("b", "1")}
    assert done.stdout.count("mlflow ui") == 1


def test_kill_and_resume_leave_one_parent_and_four_runs(
    command: Command,
    make_dataset: Callable[..., Path],
    server: FakeOpenAI,
    database: str,
    tmp_path: Path,
) -> None:
    def slow_b(received: Received, _: int) -> Reply:
        return Reply(latency=0.2 if received.body["model"] == "b" else 0)

    server.behave = slow_b
    arguments = [
        *of_dataset(make_dataset(400), "backend=openai", f"tracking.uri={database}", *GRID),
        *("runner.max_concurrency=2", "tracking.live_interval=0.2"),
    ]
    process = subprocess.Popen(
        [*program(), *arguments],
        cwd=tmp_path,
        env={**os.environ, **server.env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def in_cell_b() -> bool:
        cells = parent_of(database).children.values()
        return any(c.params.get("model") == "b" and "live/done" in c.metrics for c in cells)

    wait_for(in_cell_b)
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    wait_for(lambda: parent_of(database).status == "KILLED")
    before = parent_of(database)
    assert "KILLED" in {cell.status for cell in before.children.values()}
    server.behave = lambda _received, _nth: Reply()
    done = command(*arguments, env=server.env)
    assert done.returncode == 0, done.stderr
    after = parent_of(database)
    assert after.run.info.run_id == before.run.info.run_id
    assert {cell.status for cell in after.children.values()} == {"FINISHED"}
    assert len(after.children) == 4
    for name, cell in before.children.items():
        assert after[name].run.info.run_id == cell.run.info.run_id
    for cell in after.children.values():
        assert_equals_the_summary(cell, run_dir(cell))
    assert len(server.requests) <= 4 * 400 + 2


def test_a_cell_that_fails_is_failed_and_so_is_the_parent(
    command: Command, make_dataset: Callable[..., Path], server: FakeOpenAI, database: str
) -> None:
    server.behave = lambda received, _: Reply(
        status=404 if received.body["model"] == "b" else 200,
        extra={"code": "model_not_found"} if received.body["model"] == "b" else {},
    )
    done = command(
        *of_dataset(make_dataset(3), "backend=openai", f"tracking.uri={database}"),
        *("-m", "model=a,b"),
        env=server.env,
    )
    assert done.returncode == 2
    parent = parent_of(database)
    assert parent.status == "FAILED"
    assert {c.params["model"]: c.status for c in parent.children.values()} == {
        "a": "FINISHED",
        "b": "FAILED",
    }


def test_ctrl_c_is_killed(
    make_dataset: Callable[..., Path], server: FakeOpenAI, database: str, tmp_path: Path
) -> None:
    server.behave = lambda _received, _nth: Reply(latency=0.2)
    process = subprocess.Popen(
        [
            *program(),
            *of_dataset(make_dataset(2000), "backend=openai", f"tracking.uri={database}"),
            *("-m", "model=a,b", "runner.max_concurrency=2", "tracking.live_interval=0.2"),
        ],
        cwd=tmp_path,
        env={**os.environ, **server.env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: any("live/done" in c.metrics for c in parent_of(database).children.values()))
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    parent = parent_of(database)
    assert parent.status == "KILLED"
    assert {cell.status for cell in parent.children.values()} == {"KILLED"}


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_cells_in_processes_of_their_own_are_nested_in_the_same_parent(
    launcher: str, command: Command, make_dataset: Callable[..., Path]
) -> None:
    """With a new database, which all of them would make."""
    data = make_dataset(3)
    own = {
        "joblib": ["hydra.launcher.n_jobs=2"],
        "submitit_local": [f"hydra.sweep.dir={data.parent}/jobs"],
    }
    done = command(
        *of_dataset(data, "backend=simulated", *GRID), f"hydra/launcher={launcher}", *own[launcher]
    )
    assert done.returncode == 0, done.stderr
    parent = parent_of(f"sqlite:///{data.parent}/outputs/mlflow.db")
    assert parent.status == "FINISHED"
    assert [cell.status for cell in parent.children.values()] == ["FINISHED"] * 4
    assert "MLflow lacks" not in done.stderr


def test_a_search_has_a_parent_too(
    command: Command, make_dataset: Callable[..., Path], database: str
) -> None:
    pytest.importorskip("optuna", minversion="4.5")
    done = command(
        *of_dataset(make_dataset(2), "backend=simulated", f"tracking.uri={database}", "-m"),
        *("hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1"),
        *("objective=summary.latency_ms.p50", "params.temperature=interval(0,1)"),
    )
    assert done.returncode == 0, done.stderr
    parent = parent_of(database)
    assert parent.status == "FINISHED"
    assert len(parent.children) == 3


def test_cells_of_two_datasets_have_a_parent_in_each_experiment(
    command: Command, make_dataset: Callable[..., Path], database: str
) -> None:
    paths = [make_dataset(2, name=name) for name in ("one", "two")]
    done = command(
        *("backend=simulated", "tracking=mlflow", f"tracking.uri={database}", "dataset=path"),
        *("-m", f"dataset.path={paths[0]},{paths[1]}"),
    )
    assert done.returncode == 0, done.stderr
    for name in ("one", "two"):
        parent = parent_of(database, name)
        assert (parent.status, len(parent.children)) == ("FINISHED", 1)
