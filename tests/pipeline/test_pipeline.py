from __future__ import annotations

import asyncio
import math
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import mlflow
import pytest

from lm_eval_so import LmEvalError, RunConfig, RunnerOptions
from lm_eval_so.runner.config.schema import BudgetOptions
from lm_eval_so.runner.errors import (
    ArtifactNotFoundError,
    BudgetSpentError,
    TrackingError,
    TrackingUnreachableError,
)
from lm_eval_so.utils import PipelineContext
from support.mlflow_tree import MlflowServer, Node, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCRIPT = """
from lm_eval_so.utils import PipelineContext

with PipelineContext("my_experiment", "output_dir") as ctx:
    ctx.log_params({"model": "v1.0"})
    with ctx.step("step1_generation") as step_dir:
        (step_dir / "dataset.jsonl").write_text("{}")
        ctx.log_artifact("dataset.jsonl")
        ctx.log_metrics({"count": 100})
"""
# What the full mlflow brings and mlflow-skinny does not.
NOT_IN_SKINNY = ["flask", "pandas", "numpy", "sklearn", "scipy", "matplotlib", "pyarrow", "docker"]
NOWHERE = "http://127.0.0.1:9"
MINUTE = 60  # seconds; MLflow alone would try for several


def pipeline(uri: str, experiment: str = "e") -> Node:
    (only,) = tree(uri, experiment).values()
    return only


def script(text: str, tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        cwd=tmp_path,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


class TestTheScriptOfTheReadme:
    def test_runs_with_nothing_set_up(self, tmp_path: Path) -> None:
        done = script(SCRIPT, tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        command = f"mlflow ui --workers 1 --backend-store-uri sqlite:///{tmp_path}/output_dir"
        assert command in done.stderr
        assert_is_the_scripts_tree(f"sqlite:///{tmp_path}/output_dir/mlflow.db")

    def test_runs_with_no_more_than_mlflow_skinny(self, tmp_path: Path) -> None:
        hide = f"import sys\nfor name in {NOT_IN_SKINNY}:\n    sys.modules[name] = None\n"
        done = script(hide + SCRIPT, tmp_path)
        assert done.returncode == 0, done.stderr
        assert_is_the_scripts_tree(f"sqlite:///{tmp_path}/output_dir/mlflow.db")

    def test_runs_against_a_server(self, mlflow_server: MlflowServer, tmp_path: Path) -> None:
        done = script(SCRIPT, tmp_path, MLFLOW_TRACKING_URI=mlflow_server.uri)
        assert done.returncode == 0, done.stderr
        assert_is_the_scripts_tree(mlflow_server.uri)
        link = re.search(r"tracked in MLflow: (\S+/#/experiments/\d+/runs/\w+)\n", done.stderr)
        assert link is not None
        assert pipeline(mlflow_server.uri, "my_experiment").run.info.run_id in link[1]
        assert done.stdout == ""


def assert_is_the_scripts_tree(uri: str) -> None:
    root = pipeline(uri, "my_experiment")
    assert root.status == "FINISHED"
    assert root.params == {"model": "v1.0"}
    assert root.metrics == {}
    assert root.artifacts == set()
    assert root.drawn() == {"step1_generation FINISHED": {}}
    step = root["step1_generation"]
    assert step.params == {}
    assert step.metrics == {"count": 100}
    assert step.artifacts == {"dataset.jsonl"}


def test_the_tree_is_the_one_that_would_be_drawn_by_hand(database: str, tmp_path: Path) -> None:
    def fold(ctx: PipelineContext, number: int, both: threading.Barrier) -> None:
        with ctx.step(f"fold{number}"):
            both.wait(100)
            ctx.log_metric("loss", number)
            with ctx.step("score"):
                ctx.log_param("of", number)

    async def evaluate(ctx: PipelineContext, name: str, both: asyncio.Barrier) -> None:
        async with ctx.step(name):
            await both.wait()
            ctx.log_param("who", name)

    async def evaluate_all(ctx: PipelineContext) -> None:
        async with ctx.step("evaluate"):
            both = asyncio.Barrier(2)
            await asyncio.gather(*(evaluate(ctx, name, both) for name in ("ada", "bob")))
            ctx.log_metric("names", 2)

    with (
        pytest.raises(ZeroDivisionError),
        PipelineContext("e", tmp_path / "out", tracking_uri=database, run_name="p") as ctx,
    ):
        with ctx.step("generate"), ctx.step("sample"):
            ctx.log_metric("n", 3)
        with ctx.step("train"):
            both = threading.Barrier(2)
            threads = [threading.Thread(target=fold, args=[ctx, n, both]) for n in (1, 2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            ctx.log_metric("folds", 2)
        asyncio.run(evaluate_all(ctx))
        with ctx.step("report"), ctx.step("table"):
            1 / 0  # noqa: B018

    root = pipeline(database)
    assert (root.run.info.run_name, root.status) == ("p", "FAILED")
    assert root.drawn() == {
        "generate FINISHED": {"sample FINISHED": {}},
        "train FINISHED": {
            "fold1 FINISHED": {"score FINISHED": {}},
            "fold2 FINISHED": {"score FINISHED": {}},
        },
        "evaluate FINISHED": {"ada FINISHED": {}, "bob FINISHED": {}},
        "report FAILED": {"table FAILED": {}},
    }
    assert root["generate"]["sample"].metrics == {"n": 3}
    assert root["generate"].metrics == {}
    assert root["train"].metrics == {"folds": 2}
    assert root["train"]["fold2"].metrics == {"loss": 2}
    assert root["train"]["fold2"]["score"].params == {"of": "2"}
    assert root["evaluate"]["bob"].params == {"who": "bob"}
    assert root["evaluate"].metrics == {"names": 2}
    for node in (root, root["report"], root["report"]["table"]):
        assert node.tags["error"] == "ZeroDivisionError: division by zero"
        assert node.artifacts == {"traceback.txt"}
    assert "error" not in root["train"].tags


def test_a_thread_pool_logs_into_the_step_it_was_made_in(database: str, tmp_path: Path) -> None:
    with (
        PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx,
        ctx.step("train"),
        ThreadPoolExecutor(4) as pool,
    ):
        list(pool.map(lambda n: ctx.log_metric(f"m{n}", n), range(20)))
    root = pipeline(database)
    assert root.metrics == {}
    assert root["train"].metrics == {f"m{n}": n for n in range(20)}


def test_a_step_that_is_caught_fails_alone(database: str, tmp_path: Path) -> None:
    with PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx:
        with pytest.raises(KeyError), ctx.step("flaky"):
            raise KeyError("x")
        with ctx.step("after"):
            pass
    root = pipeline(database)
    assert root.status == "FINISHED"
    assert root.drawn() == {"flaky FAILED": {}, "after FINISHED": {}}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(KeyboardInterrupt(), "KILLED", id="ctrl-c"),
        pytest.param(SystemExit(0), "FINISHED", id="exit-0"),
        pytest.param(SystemExit(3), "FAILED", id="exit-3"),
        pytest.param(SystemExit(143), "KILLED", id="sigterm"),
        pytest.param(asyncio.CancelledError(), "KILLED", id="cancelled"),
        pytest.param(ValueError("no"), "FAILED", id="an-error"),
    ],
)
def test_how_a_pipeline_ends_is_its_state(
    database: str, tmp_path: Path, error: BaseException, status: str
) -> None:
    with (
        pytest.raises(type(error)),
        PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx,
        ctx.step("s"),
    ):
        raise error
    root = pipeline(database)
    assert (root.status, root.drawn()) == (status, {f"s {status}": {}})


def test_ctrl_c_in_a_process_gives_killed(database: str, tmp_path: Path) -> None:
    text = f"""
        import time
        from lm_eval_so.utils import PipelineContext
        with PipelineContext("e", "out", tracking_uri={database!r}) as ctx, ctx.step("long"):
            print("ready", flush=True)
            time.sleep(60)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    root = pipeline(database)
    assert (root.status, root.drawn()) == ("KILLED", {"long KILLED": {}})


def test_a_coroutine_that_is_cancelled_is_killed(database: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx:

            async def wait() -> None:
                async with ctx.step("wait"):
                    await asyncio.sleep(60)

            task = asyncio.create_task(wait())
            while not (ctx.directory / "wait").exists():
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    root = pipeline(database)
    assert (root.status, root.drawn()) == ("FINISHED", {"wait KILLED": {}})


def test_steps_of_one_name_have_folders_and_names_of_their_own(
    database: str, tmp_path: Path
) -> None:
    folders = []
    with PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx:
        for name in ("train", "train", "Train", "a/b", "train"):
            with ctx.step(name) as folder:
                folders.append(folder.relative_to(ctx.directory).as_posix())
                assert folder.is_dir()
    assert folders == ["train", "train-2", "Train-3", "a-b", "train-4"]
    assert set(pipeline(database).children) == {"train", "train-2", "Train-3", "a/b", "train-4"}


def test_pipelines_of_the_same_second_do_not_meet(database: str, tmp_path: Path) -> None:
    def run(_: int) -> Path:
        with PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx:
            return ctx.directory

    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(run, range(8)))
    assert len(set(folders)) == 8
    assert {node.status for node in tree(database, "e").values()} == {"FINISHED"}
    for folder in folders:
        assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{8}", folder.name)


def test_a_run_of_somebody_elses_is_neither_logged_into_nor_closed(
    database: str, tmp_path: Path
) -> None:
    mlflow.set_tracking_uri(database)
    try:
        with mlflow.start_run(run_name="theirs") as theirs:
            with PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx:
                ctx.log_param("ours", 1)
                with ctx.step("s"):
                    ctx.log_metric("m", 1)
                    active = mlflow.active_run()
                    assert active is not None
                    assert active.info.run_id == theirs.info.run_id
            mlflow.log_param("still", "open")
    finally:
        mlflow.set_tracking_uri(None)
    root = tree(database, "Default")["theirs"]
    assert (root.status, root.params, root.metrics) == ("FINISHED", {"still": "open"}, {})
    assert root.children == {}
    assert pipeline(database).params == {"ours": "1"}


def test_code_that_logs_by_itself_can_be_sent_into_a_step(database: str, tmp_path: Path) -> None:
    try:
        with PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx, ctx.step("s"):
            mlflow.set_tracking_uri(ctx.tracking_uri)
            with mlflow.start_run(run_id=ctx.run_id):
                mlflow.log_metric("by_itself", 1)
    finally:
        mlflow.set_tracking_uri(None)
    assert pipeline(database)["s"].metrics == {"by_itself": 1}


class TestWhatMlflowWouldNotTake:
    def test_loses_nothing(self, database: str, tmp_path: Path) -> None:
        nested = {"optimizer": {"lr": 0.1, "betas": [0.9, 0.99], "none": {}}, "k=v": "eq"}
        many = {f"p{n}": n for n in range(250)}
        with PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx:
            ctx.log_params({**nested, **many, "long": "가" * 7000, "모델": "값"})
        root = pipeline(database)
        assert root.params["optimizer.lr"] == "0.1"
        assert root.params["optimizer.betas"] == "[0.9, 0.99]"
        assert root.params["optimizer.none"] == "{}"
        assert root.params["k_v"] == "eq"
        assert root.params["모델"] == "값"
        assert [root.params[f"p{n}"] for n in range(250)] == [str(n) for n in range(250)]
        assert len(root.params["long"]) == 6000
        (artifact,) = re.findall(r"\(cut: the whole is in the artifact (.*)\)", root.params["long"])
        assert artifact in root.artifacts
        path = mlflow.MlflowClient(database).download_artifacts(root.run.info.run_id, artifact)
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            assert "가" * 7000 in file.read()

    def test_nan_and_infinity_do_not_stop_a_pipeline(self, database: str, tmp_path: Path) -> None:
        with PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx:
            ctx.log_metrics({"loss": float("nan"), "eval": {"best": -math.inf, "n": 2}})
        metrics = pipeline(database).metrics
        assert math.isnan(metrics["loss"])
        assert metrics["eval.best"] < -1e300
        assert metrics["eval.n"] == 2

    def test_a_metric_has_a_step(self, database: str, tmp_path: Path) -> None:
        with PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx:
            for epoch in range(3):
                ctx.log_metrics({"loss": 1 / (epoch + 1)}, step=epoch)
        run_id = pipeline(database).run.info.run_id
        history = mlflow.MlflowClient(database).get_metric_history(run_id, "loss")
        assert [(m.step, m.value) for m in history] == [(0, 1), (1, 1 / 2), (2, 1 / 3)]

    def test_a_metric_that_is_no_number_is_named(self, database: str, tmp_path: Path) -> None:
        with (
            PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx,
            pytest.raises(TrackingError, match=r"metric 'eval\.acc' must be a number, got 'good'"),
        ):
            ctx.log_metrics({"eval": {"acc": "good"}})

    def test_a_param_that_changes_is_refused_by_name(self, database: str, tmp_path: Path) -> None:
        with PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx:
            ctx.log_param("model", "v1")
            ctx.log_param("model", "v1")
            with pytest.raises(TrackingError, match=r"'model'.*'v1'.*'v2'"):
                ctx.log_param("model", "v2")


class TestArtifacts:
    def test_are_found_in_the_step_or_as_given(self, database: str, tmp_path: Path) -> None:
        (tmp_path / "given.txt").write_text("given")
        (tmp_path / "both.txt").write_text("given")
        with (
            PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx,
            ctx.step("s") as folder,
        ):
            (folder / "both.txt").write_text("the step's")
            (folder / "model" / "weights").mkdir(parents=True)
            (folder / "model" / "weights" / "w.bin").write_bytes(b"1")
            ctx.log_artifact("given.txt")
            ctx.log_artifact("both.txt", "texts")
            ctx.log_artifact("model")
            ctx.log_artifact(tmp_path / "given.txt", "absolute")
        step = pipeline(database)["s"]
        assert step.artifacts == {
            *("given.txt", "texts/both.txt", "model/weights/w.bin", "absolute/given.txt"),
        }
        client = mlflow.MlflowClient(database)
        path = client.download_artifacts(step.run.info.run_id, "texts/both.txt")
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            assert file.read() == "the step's"

    def test_that_are_missing_name_both_places(self, database: str, tmp_path: Path) -> None:
        with (
            pytest.raises(FileNotFoundError) as raised,
            PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx,
            ctx.step("s") as folder,
        ):
            ctx.log_artifact("no.txt")
        assert isinstance(raised.value, ArtifactNotFoundError)
        assert str(folder / "no.txt") in str(raised.value)
        assert str(tmp_path / "no.txt") in str(raised.value)


class TestAServerThatIsAway:
    def test_is_one_clear_error_at_the_start(self, tmp_path: Path) -> None:
        began = time.monotonic()
        with (
            pytest.raises(TrackingUnreachableError, match=r"127\.0\.0\.1:9: .*refused"),
            PipelineContext("e", tmp_path / "out", tracking_uri=NOWHERE),
        ):
            raise AssertionError("the body ran")
        assert time.monotonic() - began < MINUTE

    def test_is_told_at_the_end_by_warn(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        began = time.monotonic()
        with PipelineContext("e", "out", tracking_uri=NOWHERE, on_unreachable="warn") as ctx:
            ctx.log_params({"a": 1})
            with ctx.step("train") as folder:
                (folder / "w.bin").write_bytes(b"1")
                ctx.log_artifact("w.bin")
                ctx.log_metrics({"loss": 1})
                ctx.log_metrics({"loss": 2})
        assert time.monotonic() - began < MINUTE
        assert (tmp_path / folder / "w.bin").read_bytes() == b"1"
        told = capsys.readouterr().err
        assert told.count("MLflow lacks") == 1
        for what in ("params of", "the run of train", "w.bin of train", "metrics of train (2)"):
            assert what in told
        assert "refused" in told

    def test_gets_what_it_lacks_when_it_is_back(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with MlflowServer(tmp_path / "server") as server:
            pass
        with ExitStack() as later:
            with PipelineContext("e", "out", tracking_uri=server.uri, on_unreachable="warn") as ctx:
                ctx.log_params({"a": 1})
                with ctx.step("train"):
                    ctx.log_metrics({"loss": 1})
                later.enter_context(MlflowServer(tmp_path / "server", port=server.port))
            root = pipeline(server.uri)
        assert (root.status, root.params) == ("FINISHED", {"a": "1"})
        assert root["train"].metrics == {"loss": 1}
        assert "MLflow lacks" not in capsys.readouterr().err

    def test_in_the_middle_is_an_error_that_does_not_take_minutes(self, tmp_path: Path) -> None:
        with MlflowServer(tmp_path / "server") as server:
            with (
                pytest.raises(TrackingUnreachableError, match="refused") as raised,
                PipelineContext("e", "out", tracking_uri=server.uri) as ctx,
                ctx.step("s"),
            ):
                server.stop()
                began = time.monotonic()
                ctx.log_param("a", 1)
            assert time.monotonic() - began < MINUTE
        assert "is not in MLflow: " in raised.value.__notes__[0]

    def test_for_a_moment_is_waited_for(self, tmp_path: Path) -> None:
        with ExitStack() as later:
            server = later.enter_context(MlflowServer(tmp_path / "server"))
            with PipelineContext("e", "out", tracking_uri=server.uri) as ctx:
                server.stop()
                again = MlflowServer(tmp_path / "server", port=server.port)
                starting = threading.Thread(target=later.enter_context, args=[again])
                starting.start()
                ctx._client.wait(60)
                ctx.log_param("a", 1)
                starting.join()
            assert pipeline(server.uri).params == {"a": "1"}

    def test_while_a_step_ends_gets_its_state_later(self, tmp_path: Path) -> None:
        with ExitStack() as later:
            server = later.enter_context(MlflowServer(tmp_path / "server"))
            with PipelineContext("e", "out", tracking_uri=server.uri, on_unreachable="warn") as ctx:
                with ctx.step("s"):
                    server.stop()
                later.enter_context(MlflowServer(tmp_path / "server", port=server.port))
            root = pipeline(server.uri)
        assert (root.status, root.drawn()) == ("FINISHED", {"s FINISHED": {}})

    def test_does_not_hide_the_pipelines_own_error(self, tmp_path: Path) -> None:
        with (
            MlflowServer(tmp_path / "server") as server,
            pytest.raises(ValueError, match="mine") as raised,
            PipelineContext("e", "out", tracking_uri=server.uri),
        ):
            server.stop()
            raise ValueError("mine")
        assert "is not in MLflow: " in raised.value.__notes__[0]


class TestStatesThatMustNotStayRunning:
    def test_where_artifacts_cannot_be_kept(self, database: str, tmp_path: Path) -> None:
        mlflow.MlflowClient(database).create_experiment("e", artifact_location="s3://nowhere/x")
        with (
            pytest.raises(ValueError, match="mine") as raised,
            PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx,
            ctx.step("s"),
        ):
            raise ValueError("mine")
        root = tree(database, "e", artifacts=False)[ctx.directory.name]
        assert (root.status, root.drawn()) == ("FAILED", {"s FAILED": {}})
        assert root["s"].tags["error"] == "ValueError: mine"
        assert "the traceback of 's' is not in MLflow: " in raised.value.__notes__[0]

    def test_where_a_sibling_fails_while_a_step_begins(self, database: str, tmp_path: Path) -> None:
        async def slow(ctx: PipelineContext) -> None:
            async with ctx.step("slow"):
                await asyncio.sleep(60)

        async def fail(ctx: PipelineContext) -> None:
            while not (ctx.directory / "slow").exists():
                await asyncio.sleep(0)
            raise ValueError("mine")

        async def main() -> None:
            async with (
                PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx,
                asyncio.TaskGroup() as group,
            ):
                group.create_task(slow(ctx))
                group.create_task(fail(ctx))

        with pytest.raises(ExceptionGroup):
            asyncio.run(main())
        root = pipeline(database)
        assert root.status == "FAILED"
        assert set(root.drawn()) <= {"slow KILLED", "slow FAILED"}
        assert root.children

    def test_where_ctrl_c_comes_while_a_step_ends(self, database: str, tmp_path: Path) -> None:
        with (
            pytest.raises(KeyboardInterrupt),
            PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx,
        ):
            step = ctx.step("s")
            step.__enter__()
            ctx._tree.leave(step)  # it was on the way out when the signal came
            raise KeyboardInterrupt
        root = pipeline(database)
        assert (root.status, root.drawn()) == ("KILLED", {"s KILLED": {}})

    def test_where_a_file_is_gone_before_mlflow_is_back(self, tmp_path: Path) -> None:
        with MlflowServer(tmp_path / "server") as server:
            pass
        with ExitStack() as later:
            with PipelineContext("e", "out", tracking_uri=server.uri, on_unreachable="warn") as ctx:
                (ctx.directory / "a.txt").write_text("a")
                ctx.log_artifact("a.txt")
                (ctx.directory / "a.txt").unlink()
                ctx.log_metric("after", 1)
                later.enter_context(MlflowServer(tmp_path / "server", port=server.port))
            root = pipeline(server.uri)
        assert (root.status, root.metrics, root.artifacts) == ("FINISHED", {"after": 1}, set())


class TestRunEvaluation:
    CONFIG = RunConfig(backend="simulated", model="m", backend_options={"latency_ms": 1})

    def test_is_a_step_with_the_run_in_it(
        self, database: str, tmp_path: Path, make_dataset: Callable[..., Path]
    ) -> None:
        data = make_dataset(5)
        with PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx:
            report = ctx.run_evaluation(data, self.CONFIG, step="ask")
        step = pipeline(database)["ask"]
        assert step.status == "FINISHED"
        assert step.metrics["status_counts.ok"] == 5
        assert step.params["model"] == "m"
        assert {"run_metadata.json", "run_results.jsonl", "config.yaml"} <= step.artifacts
        assert report.run_dir == ctx.directory / "ask"
        assert len(list(report.results())) == 5

    def test_of_samples_is_a_step_that_keeps_them(self, database: str, tmp_path: Path) -> None:
        samples = [{"id": "a", "messages": [{"role": "user", "content": "q"}]}]
        with PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx:
            report = ctx.run_evaluation(config=self.CONFIG, samples=samples, dataset_id="mine")
        assert pipeline(database)["evaluation"].metrics["status_counts.ok"] == 1
        assert len(list((report.run_dir / ".samples" / "mine").glob("*.jsonl"))) == 1
        assert not (tmp_path / "outputs").exists()

    def test_that_is_stopped_leaves_what_there_is(
        self, database: str, tmp_path: Path, make_dataset: Callable[..., Path]
    ) -> None:
        options = RunnerOptions(budget=BudgetOptions(requests=2))
        with (
            pytest.raises(BudgetSpentError),
            PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx,
        ):
            ctx.run_evaluation(make_dataset(5), self.CONFIG, options=options)
        step = pipeline(database)["evaluation"]
        assert (step.status, step.metrics["status_counts.owed"]) == ("FAILED", 3)
        assert {"run_results.jsonl", "traceback.txt"} <= step.artifacts

    def test_that_cannot_be_carried_out_fails_its_step(self, database: str, tmp_path: Path) -> None:
        with (
            pytest.raises(LmEvalError, match=r"nowhere"),
            PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx,
        ):
            ctx.run_evaluation(tmp_path / "nowhere", self.CONFIG)
        root = pipeline(database)
        assert (root.status, root.drawn()) == ("FAILED", {"evaluation FAILED": {}})


def test_nothing_is_logged_into_a_pipeline_that_is_over(database: str, tmp_path: Path) -> None:
    with PipelineContext("e", tmp_path / "out", tracking_uri=database) as ctx:
        pass
    with pytest.raises(TrackingError, match="is over"):
        ctx.log_param("late", 1)
    with pytest.raises(TrackingError, match="is over"), ctx.step("late"):
        pass
    assert pipeline(database).drawn() == {}


def test_a_context_is_entered_once(database: str, tmp_path: Path) -> None:
    ctx = PipelineContext("e", tmp_path / "out", tracking_uri=database)
    with pytest.raises(TrackingError, match="has not begun"):
        ctx.log_param("a", 1)
    with ctx:
        pass
    with pytest.raises(TrackingError, match="entered once"), ctx:
        pass
