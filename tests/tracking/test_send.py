"""``python -m lm_eval_so.tracking DIR...``: runs that have ended are sent on any day."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from mlflow import MlflowClient

from conftest import program
from lm_eval_so import RunConfig, run
from lm_eval_so.tracking.__main__ import main
from support.fake_openai import FakeOpenAI, Reply
from support.mlflow_tree import Node, tree
from support.tracked import assert_equals_the_summary, run_dir, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = RunConfig(backend="simulated", model="m", backend_options={"latency_ms": 1})


def send(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lm_eval_so.tracking", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def only(uri: str, experiment: str = "numbers") -> Node:
    (found,) = tree(uri, experiment).values()
    return found


def test_a_folder_of_runs_is_one_run_each_however_often_it_is_sent(
    make_dataset: Callable[..., Path], database: str, tmp_path: Path
) -> None:
    made = [run(make_dataset(3), CONFIG, variant=variant).run_dir for variant in ("a", "b")]
    elsewhere = shutil.copytree(tmp_path / "outputs", tmp_path / "from_another_machine")
    for _ in range(2):
        done = send(str(elsewhere), "--uri", database, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert [line.split(": mlflow ui ")[0] for line in lines] == sorted(
            str(elsewhere / path.relative_to(tmp_path / "outputs"))
            for path in map(tmp_path.joinpath, made)
        )
    nodes = tree(database, "numbers")
    assert set(nodes) == {path.name for path in made}
    client = MlflowClient(database)
    for node in nodes.values():
        assert node.status == "FINISHED"
        assert_equals_the_summary(node, run_dir(node))
        assert {"run_results.jsonl", "results_table.json", "config.yaml"} <= node.artifacts
        metadata = json.loads((run_dir(node) / "run_metadata.json").read_text())
        assert node.params["variant"] == metadata["variant"]
        wall = node.run.info.end_time - node.run.info.start_time
        began, ended = (
            datetime.fromisoformat(metadata[f"{name}_at"]) for name in ("started", "ended")
        )
        assert wall / 1000 == pytest.approx((ended - began).total_seconds(), abs=0.01)
        for name in node.metrics:
            assert len(client.get_metric_history(node.run.info.run_id, name)) == 1, name
        assert len(node.run.inputs.dataset_inputs) == 1


def test_a_run_that_was_tracked_while_it_went_on_stays_one_run(
    command: Callable[..., subprocess.CompletedProcess[str]],
    make_dataset: Callable[..., Path],
    database: str,
    tmp_path: Path,
) -> None:
    done = command(
        *("dataset=path", f"dataset.path={make_dataset(3)}", "backend=simulated"),
        *("tracking=mlflow", f"tracking.uri={database}"),
    )
    assert done.returncode == 0, done.stderr
    before = only(database)
    done = send(str(run_dir(before)), "--uri", database, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = only(database)
    assert after.run.info.run_id == before.run.info.run_id
    assert (after.metrics, after.artifacts) == (before.metrics, before.artifacts)
    assert after.run.info.end_time == before.run.info.end_time


def test_a_run_that_was_killed_is_killed_with_what_there_is_of_it(
    make_dataset: Callable[..., Path], server: FakeOpenAI, database: str, tmp_path: Path
) -> None:
    server.behave = lambda _received, _nth: Reply(hang=len(server.requests) > 4)
    data = make_dataset(60)
    process = subprocess.Popen(
        [
            *(*program(), "dataset=path", f"dataset.path={data}", "backend=openai", "model=m"),
            *("output_dir=killed", "runner.max_concurrency=2"),
        ],
        cwd=tmp_path,
        env={**os.environ, **server.env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    results = tmp_path / "killed" / "run_results.jsonl"
    wait_for(lambda: results.is_file() and results.stat().st_size > 0)
    busy = send("killed", "--uri", database, cwd=tmp_path)
    assert busy.returncode == 2
    assert busy.stderr.count("\n") == 1
    assert f"killed is in use by another process (pid {process.pid}" in busy.stderr
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    done = send("killed", "--uri", database, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    node = only(database)
    assert node.status == "KILLED"
    assert "run_results.jsonl" in node.artifacts


def test_what_is_no_run_is_one_sentence_and_the_others_are_sent(
    make_dataset: Callable[..., Path],
    database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = run(make_dataset(2), CONFIG).run_dir
    for name, text in {"torn": '{"state": "comp', "other": '{"a": 1}'}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "run_metadata.json").write_text(text)
    (tmp_path / "empty").mkdir()
    done = send("empty", "nowhere", "torn", "other", str(good), "--uri", database, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout.startswith(f"{good}: ")
    lines = done.stderr.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["empty", "nowhere", "torn", "other"]
    assert "no run directory" in lines[0]
    assert "cannot be read" in lines[2]
    assert "cannot be read (state: Field required)" in lines[3]
    assert only(database).status == "FINISHED"
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "MLFLOW_TRACKING_URI" in capsys.readouterr().out


def test_a_server_that_is_away_is_one_sentence(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    good = run(make_dataset(2), CONFIG).run_dir
    done = send(str(good), "--uri", "http://127.0.0.1:9", "--experiment", "mine", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "MLflow lacks the whole run" in done.stderr
    assert "run the same command again" in done.stderr
