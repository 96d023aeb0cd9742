"""Runs of the command line with ``tracking.traces=true``, read back through MlflowClient."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from mlflow import MlflowClient

from lm_eval_so import RunConfig, run
from lm_eval_so.tracking.client import TrackingClient
from lm_eval_so.tracking.live import Lines
from lm_eval_so.tracking.traces import Traces
from support.fake_openai import FakeOpenAI, Received, Reply
from support.tracked import of_dataset, only, results_of, traces

if TYPE_CHECKING:
    from pathlib import Path

    from support.mlflow_tree import Node

Command = Callable[..., subprocess.CompletedProcess[str]]
CONFIG = RunConfig(backend="simulated", model="m", backend_options={"latency_ms": 1})


class TestTraces:
    @staticmethod
    def fail_once(received: Received, nth: int) -> Reply:
        if received.question == "question 1" and nth == 1:
            return Reply(status=500)
        return Reply(status=400) if received.question == "question 2" else Reply()

    def test_are_one_per_sample_with_attempts_as_spans(
        self, command: Command, make_dataset: Callable[..., Path], server: FakeOpenAI, database: str
    ) -> None:
        server.behave = self.fail_once
        arguments = [
            *of_dataset(make_dataset(4), "backend=openai", "model=m", f"tracking.uri={database}"),
            *("tracking.traces=true", "runner.backoff_initial=0.01"),
        ]
        assert command(*arguments, env=server.env).returncode == 1
        root = only(database)
        found = traces(database, root)
        assert set(found) == {"s0", "s1", "s2", "s3"}
        for sample_id, trace in found.items():
            head = trace.data.spans[0]
            result = next(r for r in results_of(root) if r["sample_id"] == sample_id)
            assert head.inputs["messages"] == result["request_messages"]
            assert trace.info.tags["lm_eval_so.trace_id"] == result["trace_id"]
        assert found["s0"].data.spans[0].outputs["choices"][0]["message"]["content"]
        assert found["s0"].info.token_usage["total_tokens"] == 10
        assert [s.status.status_code.value for s in found["s1"].data.spans] == ["OK", "ERROR", "OK"]
        assert found["s2"].info.state.value == "ERROR"
        assert found["s2"].data.spans[0].outputs["error"]["error_type"] == "BadRequestError"
        # The sample that failed is asked again, and its trace takes the place of the old one.
        server.behave = lambda _received, _nth: Reply()
        assert command(*arguments, env=server.env).returncode == 0
        again = traces(database, only(database))
        assert set(again) == {"s0", "s1", "s2", "s3"}
        assert again["s2"].info.state.value == "OK"
        assert again["s0"].info.trace_id == found["s0"].info.trace_id

    def test_have_what_is_expected_once_over_all_commands(
        self, command: Command, tmp_path: Path, server: FakeOpenAI, database: str
    ) -> None:
        data = tmp_path / "expecting.jsonl"
        data.write_text(
            "".join(
                json.dumps({"id": f"s{n}", "messages": [question(n)], "expected": expected}) + "\n"
                for n, expected in enumerate(["yes", {"expected_facts": ["x"]}, None, ["a", "b"]])
            )
        )
        wanted = {
            "s0": {"expected_response": "yes"},
            "s1": {"expected_facts": ["x"]},
            "s2": {},
            "s3": {"expected": ["a", "b"]},
        }
        arguments = [
            *of_dataset(data, "backend=openai", "model=m", f"tracking.uri={database}"),
            *("tracking.traces=true", "runner.backoff_initial=0.01", "output_dir=run"),
        ]
        server.behave = lambda received, _: Reply(status=400 if "1" in received.question else 200)
        assert command(*arguments, env=server.env).returncode == 1
        assert expectations(database, only(database, "expecting")) == wanted
        server.behave = lambda _received, _nth: Reply()
        assert command(*arguments, env=server.env).returncode == 0
        assert expectations(database, only(database, "expecting")) == wanted
        again = [sys.executable, "-m", "lm_eval_so.tracking", "run", "--uri", database]
        subprocess.run(again, check=True, timeout=60)
        assert expectations(database, only(database, "expecting")) == wanted

    def test_have_the_answer_and_its_numbers_where_the_raw_one_is_not_kept(
        self, command: Command, make_dataset: Callable[..., Path], server: FakeOpenAI, database: str
    ) -> None:
        calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
        usage = {
            "prompt_tokens": 8,
            "completion_tokens": 6,
            "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 5},
        }
        server.behave = lambda _received, _nth: Reply(
            message={"reasoning_content": "hm", "tool_calls": calls}, extra={"usage": usage}
        )
        done = command(
            *of_dataset(make_dataset(1), "backend=openai", "model=gpt-4o-mini", "store.raw=false"),
            *(f"tracking.uri={database}", "tracking.traces=true"),
            env=server.env,
        )
        assert done.returncode == 0, done.stderr
        (trace,) = traces(database, only(database)).values()
        (choice,) = trace.data.spans[0].outputs["choices"]
        assert choice["message"]["reasoning"] == "hm"
        assert choice["message"]["tool_calls"] == calls
        assert trace.info.token_usage["cache_read_input_tokens"] == 5
        (result,) = results_of(only(database))
        assert "raw" not in result["response"]
        cost = json.loads(trace.info.trace_metadata["mlflow.trace.cost"])
        assert cost["total_cost"] == pytest.approx(result["cost_usd"])

    def test_are_sampled_and_always_the_same_ones(
        self, command: Command, make_dataset: Callable[..., Path], database: str
    ) -> None:
        arguments = [
            *of_dataset(make_dataset(40), "backend=simulated", f"tracking.uri={database}"),
            *("tracking.traces=true", "tracking.trace_share=0.25"),
        ]
        assert command(*arguments).returncode == 0
        found = traces(database, only(database))
        assert 3 <= len(found) <= 17
        assert command(*arguments).returncode == 0
        assert set(traces(database, only(database))) == set(found)

    def test_of_others_are_left_alone(
        self, command: Command, make_dataset: Callable[..., Path], database: str, tmp_path: Path
    ) -> None:
        arguments = [
            *of_dataset(make_dataset(4), "backend=simulated", f"tracking.uri={database}"),
            "tracking.traces=true",
        ]
        assert command(*arguments).returncode == 0
        root = only(database).run
        judge = (
            "import sys, mlflow; c = mlflow.MlflowClient(); t = c.start_trace('judge',"
            "experiment_id=sys.argv[1], run_id=sys.argv[2]); c.end_trace(t.trace_id)"
        )
        subprocess.run(
            [sys.executable, "-c", judge, root.info.experiment_id, root.info.run_id],
            env={
                **os.environ,
                "MLFLOW_TRACKING_URI": database,
                "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
            },
            cwd=tmp_path,
            check=True,
            timeout=60,
        )
        assert command(*arguments).returncode == 0
        found = MlflowClient(database).search_traces(
            locations=[root.info.experiment_id], run_id=root.info.run_id
        )
        assert len(found) == 5

    @pytest.mark.filterwarnings("ignore:.*Any type hint is inferred")  # mlflow's, of its own
    def test_that_are_missing_are_counted(
        self, make_dataset: Callable[..., Path], database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_TRACE_LOGGING", "false")
        report = run(make_dataset(10), CONFIG)
        client = TrackingClient(database)
        experiment_id = client.experiment("e")
        run_id = client.create_run(experiment_id, "r", {})
        lines = Lines(report.run_dir)
        made = Traces(client, experiment_id, run_id, lines, 1.0, resumed=False)
        made.finish(time.monotonic())
        assert made.missing() == ["traces (9)"]
        made.finish(time.monotonic() + 60)
        assert made.missing() == []

    def test_follow_a_file_that_is_put_in_order_under_them(
        self, make_dataset: Callable[..., Path], database: str
    ) -> None:
        report = run(make_dataset(10), CONFIG)
        client = TrackingClient(database)
        experiment_id = client.experiment("e")
        run_id = client.create_run(experiment_id, "r", {})
        made = Traces(client, experiment_id, run_id, Lines(report.run_dir), 0.0, resumed=False)
        made.follow(time.monotonic() + 60)
        text = report.results_path.read_bytes()
        report.results_path.write_bytes(b"{" + text + text)
        made.follow(time.monotonic() + 60)
        report.results_path.write_bytes(text)
        made.finish(time.monotonic() + 60)
        assert made.missing() == []

    def test_for_which_there_is_no_time_are_counted_and_sent_later(
        self, command: Command, make_dataset: Callable[..., Path], database: str
    ) -> None:
        arguments = [
            *of_dataset(make_dataset(100), "backend=simulated", f"tracking.uri={database}"),
            *("tracking.traces=true", "backend.options.latency_ms=1"),
        ]
        hurried = command(*arguments, "tracking.drain_timeout=0.5")
        assert hurried.returncode == 0
        assert hurried.stderr.count("MLflow lacks") == 1
        done = command(*arguments, "tracking.drain_timeout=90")
        assert "MLflow lacks" not in done.stderr
        assert len(traces(database, only(database))) == 100


def question(number: int) -> dict[str, str]:
    return {"role": "user", "content": f"question {number}"}


def expectations(uri: str, node: Node) -> dict[str, dict[str, Any]]:
    """By sample and name."""
    found = {}
    for sample_id, trace in traces(uri, node).items():
        expected = [one for one in trace.info.assessments if one.expectation is not None]
        found[sample_id] = {one.name: one.value for one in expected}
        assert len(found[sample_id]) == len(expected), "two expectations of one name"
    return found
