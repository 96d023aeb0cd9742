"""Runs of the command line with ``tracking=mlflow``, read back through MlflowClient."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import yaml
from mlflow import MlflowClient

from conftest import program, rows
from lm_eval_so import RunConfig, TrackingConfig, run, run_async
from lm_eval_so.runner.store.metadata import read_metadata
from support.fake_openai import FakeOpenAI, Reply
from support.mlflow_tree import MlflowServer, Node, tree
from support.tracked import (
    assert_equals_the_summary,
    of_dataset,
    only,
    run_dir,
    traces,
    wait_for,
)

if TYPE_CHECKING:
    from pathlib import Path

Command = Callable[..., subprocess.CompletedProcess[str]]
NOWHERE = "http://127.0.0.1:9"
MINUTE = 60  # seconds; MLflow alone would try for several

SECRET = "sk-very-secret-0123456789"  # noqa: S105 - nobody's


def artifact(uri: str, node: Node, name: str) -> bytes:
    path = MlflowClient(uri).download_artifacts(node.run.info.run_id, name)
    with open(path, "rb") as file:  # noqa: PTH123
        return file.read()


class TestARun:
    def test_is_told_as_it_was(
        self, command: Command, make_dataset: Callable[..., Path], server: FakeOpenAI, database: str
    ) -> None:
        done = command(
            *of_dataset(make_dataset(20), "backend=openai", "model=gpt-4o-mini", "output_dir=run"),
            *("params.temperature=0.5", f"tracking.uri={database}", "runner.max_concurrency=3"),
            env=server.env,
        )
        assert done.returncode == 0, done.stderr
        root = only(database)
        directory = run_dir(root)
        metadata = read_metadata(directory)
        assert metadata is not None
        assert metadata.summary is not None
        assert (root.status, root.run.info.run_name) == ("FINISHED", "run")
        assert root.params["model"] == "gpt-4o-mini"
        assert root.params["params.temperature"] == "0.5"
        assert root.params["runner.max_concurrency"] == "3"
        assert root.params["backend.kind"] == "openai"
        assert root.tags["lm_eval_so.fingerprint"] == metadata.fingerprint
        assert root.tags["lm_eval_so.dataset_sha256"] == metadata.dataset.sha256
        assert root.tags["lm_eval_so.trace_prefix"] == "lm-eval-so"
        assert root.tags["lm_eval_so.packages.openai"]
        assert_equals_the_summary(root, directory)
        assert root.metrics["live/done"] == 20
        assert root.metrics["live/cost_usd"] == pytest.approx(root.metrics["cost_usd"])
        assert root.artifacts == {
            *("run_metadata.json", "run_results.jsonl", "results_table.json", "config.yaml"),
        }
        results = (directory / "run_results.jsonl").read_bytes()
        assert artifact(database, root, "run_results.jsonl") == results
        written = (directory / "run_metadata.json").read_bytes()
        assert artifact(database, root, "run_metadata.json") == written
        config = yaml.safe_load(artifact(database, root, "config.yaml"))
        assert config["params"] == {"temperature": 0.5}
        table = json.loads(artifact(database, root, "results_table.json"))
        texts = [row[table["columns"].index("text")] for row in table["data"]]
        assert texts == [row["response"]["text"] for row in rows(directory / "run_results.jsonl")]
        (logged,) = root.run.inputs.dataset_inputs
        assert logged.dataset.name == "numbers"
        assert metadata.ended_at is not None
        lasted = (metadata.ended_at - metadata.started_at).total_seconds()
        told = root.run.info.end_time - root.run.info.start_time
        assert told / 1000 == pytest.approx(lasted, abs=0.01)
        assert lasted >= metadata.summary.wall_time_s - 0.01
        assert "mlflow ui" in done.stdout

    def test_is_gone_on_with_by_the_same_command(
        self, command: Command, make_dataset: Callable[..., Path], server: FakeOpenAI
    ) -> None:
        arguments = of_dataset(make_dataset(5), "backend=openai", "model=gpt-4o-mini")
        server.behave = lambda received, _: (
            Reply(status=400) if received.question == "question 3" else Reply()
        )
        first = command(*arguments, env=server.env)
        assert first.returncode == 1, first.stderr
        uri = default_database(make_dataset)
        before = only(uri)
        assert before.status == "FINISHED"
        assert before.metrics["error_counts.BadRequestError"] == 1
        server.behave = lambda _received, _nth: Reply()
        second = command(*arguments, "runner.max_concurrency=2", env=server.env)
        assert second.returncode == 0, second.stderr
        after = only(uri)
        assert after.run.info.run_id == before.run.info.run_id
        assert after.metrics["error_counts.BadRequestError"] == 0
        assert after.metrics["status_counts.ok"] == 5
        assert after.metrics["resumed"] == 4
        assert after.params["runner.max_concurrency"] == "auto"
        assert after.tags["lm_eval_so.changed.runner.max_concurrency"] == "2"
        assert_equals_the_summary(after, run_dir(after))

    def test_of_more_results_than_the_limit_has_their_path(
        self, command: Command, make_dataset: Callable[..., Path], database: str
    ) -> None:
        done = command(
            *of_dataset(make_dataset(20), "backend=simulated", f"tracking.uri={database}"),
            "tracking.results_limit_mb=0.001",
        )
        assert done.returncode == 0, done.stderr
        root = only(database)
        assert root.artifacts == {"run_metadata.json", "config.yaml"}
        assert (run_dir(root) / "run_results.jsonl").is_file()

    def test_names_its_experiment_its_run_and_tags(
        self, command: Command, make_dataset: Callable[..., Path], database: str
    ) -> None:
        done = command(
            *of_dataset(make_dataset(1), "backend=simulated", f"tracking.uri={database}"),
            *("tracking.experiment=mine", "tracking.run_name=first", "tracking.tags.team=qa"),
        )
        assert done.returncode == 0, done.stderr
        root = only(database, "mine")
        assert root.run.info.run_name == "first"
        assert root.tags["team"] == "qa"


class TestHowARunEnds:
    def test_that_cannot_go_on_is_failed(
        self, command: Command, make_dataset: Callable[..., Path], server: FakeOpenAI, database: str
    ) -> None:
        server.behave = lambda _received, _nth: Reply(status=401, text="wrong key")
        done = command(
            *of_dataset(make_dataset(5), "backend=openai", "model=m", f"tracking.uri={database}"),
            env=server.env,
        )
        assert done.returncode == 2
        root = only(database)
        assert (root.status, root.tags["lm_eval_so.state"]) == ("FAILED", "aborted")
        assert "key" in root.tags["lm_eval_so.reason"]
        assert root.metrics["status_counts.owed"] == 5

    @pytest.mark.parametrize("how", ["sigint", "sigkill"])
    def test_that_is_interrupted_or_killed_is_killed_and_goes_on(
        self,
        how: str,
        command: Command,
        make_dataset: Callable[..., Path],
        server: FakeOpenAI,
        database: str,
        tmp_path: Path,
    ) -> None:
        server.behave = lambda _received, _nth: Reply(latency=0.2)  # it would take a minute
        arguments = [
            *of_dataset(make_dataset(600), "backend=openai", "model=m", f"tracking.uri={database}"),
            *("runner.max_concurrency=2", "tracking.live_interval=0.2"),
        ]
        environment = {**os.environ, **server.env}
        process = subprocess.Popen(
            [*program(), *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        wait_for(lambda: only(database).status == "RUNNING")
        process.send_signal(signal.SIGINT if how == "sigint" else signal.SIGKILL)
        process.communicate(timeout=60)
        wait_for(lambda: only(database).status == "KILLED")
        killed = only(database)
        server.behave = lambda _received, _nth: Reply()
        done = command(*arguments, env=server.env)
        assert done.returncode == 0, done.stderr
        root = only(database)
        assert root.run.info.run_id == killed.run.info.run_id
        assert (root.status, root.metrics["status_counts.ok"]) == ("FINISHED", 600)
        assert_equals_the_summary(root, run_dir(root))


class TestMlflowThatIsAway:
    def test_changes_nothing_and_is_told_once_at_the_end(
        self, command: Command, make_dataset: Callable[..., Path]
    ) -> None:
        began = time.monotonic()
        done = command(
            *of_dataset(make_dataset(20), "backend=simulated", f"tracking.uri={NOWHERE}")
        )
        assert done.returncode == 0
        assert done.stderr.count("MLflow lacks the whole run") == 1
        assert "refused" in done.stderr
        assert "Traceback" not in done.stderr
        assert time.monotonic() - began < MINUTE

    def test_in_the_middle_is_told_with_what_is_missing_and_sent_by_the_same_command(
        self,
        command: Command,
        make_dataset: Callable[..., Path],
        server: FakeOpenAI,
        tmp_path: Path,
    ) -> None:
        data = make_dataset(600)
        server.behave = lambda _received, _nth: Reply(latency=0.2)  # it would take a minute
        with MlflowServer(tmp_path / "mlflow_server") as mlflow:
            arguments = [
                *of_dataset(data, "backend=openai", "model=m", f"tracking.uri={mlflow.uri}"),
                *("runner.max_concurrency=2", "tracking.live_interval=0.2"),
            ]
            process = subprocess.Popen(
                [*program(), *arguments],
                cwd=tmp_path,
                env={**os.environ, **server.env},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            wait_for(lambda: only(mlflow.uri).metrics.get("live/done", 0) > 0)
            mlflow.stop()
            server.behave = lambda _received, _nth: Reply(latency=0.01)
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert errors.count("MLflow lacks") == 1
        for what in ("live metrics (", "summary", "run_results.jsonl", "the end"):
            assert what in errors
        assert len(server.requests) == 600
        with MlflowServer(tmp_path / "mlflow_server", port=mlflow.port):
            assert only(mlflow.uri).status == "RUNNING"
            done = command(*arguments, env=server.env)
            assert done.returncode == 0, done.stderr
            root = only(mlflow.uri)
        assert (root.status, root.metrics["status_counts.ok"]) == ("FINISHED", 600)
        assert "run_results.jsonl" in root.artifacts
        assert len(server.requests) == 600

    def test_keeps_all_but_the_files_where_it_cannot_keep_files(
        self, command: Command, make_dataset: Callable[..., Path], database: str
    ) -> None:
        MlflowClient(database).create_experiment("numbers", artifact_location="s3://nowhere/x")
        done = command(
            *of_dataset(make_dataset(3), "backend=simulated", f"tracking.uri={database}")
        )
        assert done.returncode == 0
        assert "MLflow lacks config.yaml, refused: " in done.stderr
        (root,) = tree(database, "numbers", artifacts=False).values()
        assert (root.status, root.metrics["status_counts.ok"]) == ("FINISHED", 3)

    def test_since_its_process_was_killed_gets_all_from_another(
        self,
        make_dataset: Callable[..., Path],
        server: FakeOpenAI,
        database: str,
        tmp_path: Path,
    ) -> None:
        server.behave = lambda _received, _nth: Reply(latency=0.2)  # it would take a minute
        process = subprocess.Popen(
            [
                *program(),
                *of_dataset(make_dataset(600), "backend=openai", "model=m"),
                *(f"tracking.uri={database}", "runner.max_concurrency=2"),
                "tracking.live_interval=0.2",
            ],
            cwd=tmp_path,
            env={**os.environ, **server.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(lambda: only(database).metrics.get("live/done", 0) > 0)
        listed = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        (worker,) = [line.split()[0] for line in listed.splitlines() if "tracking.worker" in line]
        os.kill(int(worker), signal.SIGKILL)
        server.behave = lambda _received, _nth: Reply()
        began = time.monotonic()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        assert time.monotonic() - began < MINUTE
        assert "has ended; the run goes on without" in errors
        assert "MLflow lacks" not in errors
        root = only(database)
        assert (root.status, root.metrics["status_counts.ok"]) == ("FINISHED", 600)

    def test_is_not_a_script_of_that_name(
        self, command: Command, make_dataset: Callable[..., Path], database: str, tmp_path: Path
    ) -> None:
        (tmp_path / "mlflow.py").write_text("raise SystemExit('a script of the user')")
        done = command(
            *of_dataset(make_dataset(1), "backend=simulated", f"tracking.uri={database}")
        )
        assert "MLflow lacks" not in done.stderr
        assert only(database).status == "FINISHED"

    @pytest.mark.parametrize("presses", [2, 3])
    def test_does_not_hold_up_who_wants_to_leave(
        self, presses: int, make_dataset: Callable[..., Path], server: FakeOpenAI, tmp_path: Path
    ) -> None:
        server.behave = lambda _received, _nth: Reply(hang=True)
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(64)
            uri = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            words = of_dataset(make_dataset(5), "backend=openai", f"tracking.uri={uri}", "model=m")
            said = tmp_path / "said"
            with said.open("wb") as to:
                process = subprocess.Popen(
                    [*program(), *words],
                    cwd=tmp_path,
                    env={**os.environ, **server.env},
                    stdout=subprocess.DEVNULL,
                    stderr=to,
                )
            wait_for(lambda: len(server.requests) == 5)
            process.send_signal(signal.SIGINT)
            wait_for(lambda: "nothing more is sent" in said.read_text())
            began = time.monotonic()
            for _ in range(presses - 1):
                process.send_signal(signal.SIGINT)
                time.sleep(0.5)
            process.wait(100)
        errors = said.read_text()
        assert process.returncode == 130, errors
        assert "Traceback" not in errors
        assert time.monotonic() - began < MINUTE

    def test_that_hangs_is_waited_for_no_longer_than_told(
        self, command: Command, make_dataset: Callable[..., Path], server: FakeOpenAI
    ) -> None:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(64)
            uri = f"http://127.0.0.1:{deaf.getsockname()[1]}"
            began = time.monotonic()
            done = command(
                *of_dataset(make_dataset(5), "backend=openai", "model=m", f"tracking.uri={uri}"),
                "tracking.drain_timeout=1",
                env=server.env,
            )
        assert done.returncode == 0, done.stderr
        assert "MLflow lacks" in done.stderr
        assert time.monotonic() - began < MINUTE

    def test_an_address_that_mlflow_has_given_up_is_told_in_one_sentence(
        self, command: Command, make_dataset: Callable[..., Path]
    ) -> None:
        done = command(*of_dataset(make_dataset(1), "backend=simulated", "tracking.uri=./mlruns"))
        assert done.returncode == 0
        assert done.stderr.count("MLflow lacks the whole run (MLflow at ./mlruns: ") == 1
        assert "Traceback" not in done.stderr


def test_no_secret_reaches_mlflow_or_a_file(
    command: Command, make_dataset: Callable[..., Path], server: FakeOpenAI, tmp_path: Path
) -> None:
    server.behave = lambda received, _: Reply(
        text=f"your header was {received.headers.get('Authorization')}"
    )
    with_password = NOWHERE.replace("//", "//me:hunter2-hunter2@")
    with_token = NOWHERE.replace("//", "//hunter2-hunter2@")
    base_url = server.base_url.replace("//", "//me:hunter2-hunter2@")
    for more in (
        [],
        [f"tracking.uri={with_password}", "params.temperature=1"],
        [f"tracking.uri={with_token}", "params.temperature=2"],
        ["-m", "params.top_p=0.1,0.2"],
        ["-m", f"tracking.uri={with_token}", "params.top_p=0.3,0.4", "runner.budget.requests=1"],
    ):
        done = command(
            *of_dataset(make_dataset(3), "backend=openai", "model=gpt-4o", *more),
            *(f"backend.options.api_key={SECRET}", "tracking.traces=true"),
            f"backend.options.base_url={base_url}",
        )
        assert done.returncode in {0, 2}, done.stderr
        for secret in (SECRET, "hunter2"):
            assert secret not in done.stdout + done.stderr
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "mlflow.db" for path in found)
    for path in found:
        for secret in (SECRET, "hunter2"):
            assert secret.encode() not in path.read_bytes(), path


class TestFromPython:
    CONFIG = RunConfig(backend="simulated", model="m", backend_options={"latency_ms": 1})

    def test_a_run_is_tracked_when_asked(
        self, make_dataset: Callable[..., Path], database: str
    ) -> None:
        tracking = TrackingConfig(kind="mlflow", uri=database)
        report = run(make_dataset(5), self.CONFIG, tracking=tracking)
        assert_equals_the_summary(only(database), report.run_dir)

    async def _in_a_loop(self, data: Path, tracking: TrackingConfig) -> None:
        await run_async(data, self.CONFIG, tracking=tracking)

    def test_what_mlflow_lacks_is_a_warning(self, make_dataset: Callable[..., Path]) -> None:
        tracking = TrackingConfig(kind="mlflow", uri=NOWHERE)
        with pytest.warns(UserWarning, match="MLflow lacks the whole run .*refused"):
            report = run(make_dataset(5), self.CONFIG, tracking=tracking)
        assert report.exit_code == 0

    def test_an_async_one_too(self, make_dataset: Callable[..., Path], database: str) -> None:
        tracking = TrackingConfig(kind="mlflow", uri=database)
        asyncio.run(self._in_a_loop(make_dataset(5), tracking))
        assert only(database).status == "FINISHED"


def test_a_server_takes_a_run_and_its_traces(
    command: Command, make_dataset: Callable[..., Path], mlflow_server: MlflowServer
) -> None:
    data = make_dataset(5, name="over_http")
    samples = [{**sample, "expected": ["yes"]} for sample in rows(data / "test.jsonl")]
    (data / "test.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    done = command(
        *of_dataset(data, "backend=simulated", "tracking.traces=true"),
        env={"MLFLOW_TRACKING_URI": mlflow_server.uri},
    )
    assert done.returncode == 0, done.stderr
    root = only(mlflow_server.uri, "over_http")
    assert root.status == "FINISHED"
    assert {"run_results.jsonl", "results_table.json"} <= root.artifacts
    assert_equals_the_summary(root, run_dir(root))
    found = traces(mlflow_server.uri, root)
    assert len(found) == 5
    for trace in found.values():
        assert [(one.name, one.value) for one in trace.info.assessments] == [("expected", ["yes"])]
    assert f"{mlflow_server.uri}/#/experiments/" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["tracking=mlfow"], "did you mean 'mlflow'", id="a-typo"),
        pytest.param(["tracking.traces=true"], "tracking=", id="tracking-is-off"),
        pytest.param(
            ["tracking=mlflow", "tracking.trace_share=2"], "at most 1, got 2", id="a-bound"
        ),
        pytest.param(["tracking=mlflow", "tracking.url=x"], "tracking.uri", id="a-wrong-key"),
    ],
)
def test_a_wrong_tracking_config_is_one_sentence(
    command: Command, arguments: list[str], sentence: str
) -> None:
    done = command("backend=simulated", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr


def default_database(make_dataset: Callable[..., Path]) -> str:
    return f"sqlite:///{make_dataset(1, name='unused').parent}/outputs/mlflow.db"
