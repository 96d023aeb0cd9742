"""Logs that Inspect's own command dumps and scores; only where inspect-ai is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_so.report.export.cli import main
from support.run_directories import answered, failed, write_run

if TYPE_CHECKING:
    from lm_eval_so.runner.models import RunResult

pytest.importorskip("inspect_ai", reason="pip install 'lm-eval-so[inspect]': forty packages")
pytestmark = pytest.mark.filterwarnings("default")  # of its many dependencies

COMMAND = [sys.executable, "-m", "inspect_ai"]
CALLS = [
    {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
    {"id": "2", "type": "function", "function": {"name": "g", "arguments": "no json"}},
    {"odd": True},
]
PICTURE = "data:image/png;base64,iVBORw0KGgo="


def inspect(*arguments: object) -> str:
    """What the command prints; it has no key, and needs none."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=110,
        env={k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def dumped(log: Path) -> dict[str, Any]:
    """The log as JSON; samples by id."""
    found: dict[str, Any] = json.loads(inspect("log", "dump", "--resolve-attachments", "full", log))
    return found


def exported(tmp_path: Path, *results: RunResult, **changed: Any) -> Path:  # noqa: ANN401 - as write_run
    run, output = write_run(tmp_path / "run", results, **changed), tmp_path / "out.eval"
    assert main([str(run), "--to", "inspect", "-o", str(output)]) == 0
    return output


def test_dump_and_score_read_a_run_without_a_key(tmp_path: Path) -> None:
    wanted = answered(context={"expected": "Paris"}).request_context
    log = exported(
        tmp_path,
        answered("right", "Paris", context={"expected": "Paris", "sample_metadata": {"k": [1]}}),
        answered("wrong", "Rome", context={"expected": "Paris"}),
        failed("lost", request_context=wanted),
        model="org/name:v1",
    )
    found = dumped(log)
    samples = {sample["id"]: sample for sample in found["samples"]}
    assert (found["status"], found["eval"]["task"], found["eval"]["model"]) == (
        "success",
        "d",
        "none/org/name:v1",
    )
    assert found["results"]["completed_samples"] == 2
    assert samples["right"]["target"] == "Paris"
    assert [message["role"] for message in samples["right"]["messages"]] == ["user", "assistant"]
    assert samples["right"]["metadata"]["k"] == [1]
    assert samples["lost"]["error"]["message"] == "InternalServerError: down"
    assert samples["lost"]["output"]["choices"] == []

    inspect("score", log, "--scorer", "match", "--overwrite", "--display", "plain")
    scores = {sample["id"]: sample["scores"]["match"]["value"] for sample in dumped(log)["samples"]}
    assert (scores["right"], scores["wrong"], scores["lost"]) == ("C", "I", "I")


def test_whatever_a_message_or_an_answer_has_is_kept(tmp_path: Path) -> None:
    hostile = "</script><img src=x onerror=alert(1)>\u2028\u202e\x00<think>no</think>"
    messages = [
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]},
        {"role": "user", "content": [{"type": "odd", "x": 1}, {"type": "text", "text": hostile}]},
        {"role": "assistant", "content": None, "tool_calls": CALLS},
        {"role": "tool", "content": "42", "tool_call_id": "1"},
        {"role": "function", "name": "f", "content": "43"},
    ]
    usage = {"input": 10, "output": 5, "total": 15, "cached": 4, "reasoning": 3}
    response = {
        "reasoning": "let me see",
        "tool_calls": CALLS,
        "finish_reason": "length",
        "tokens": usage,
    }
    result = answered("a", hostile, response=response, request_messages=messages, cost_usd=0.25)
    found = dumped(exported(tmp_path, result))
    (sample,) = found["samples"]
    assert len(sample["input"]) == len(messages)
    assert sample["input"][1]["content"][0] == {"type": "image", "image": PICTURE, "detail": "auto"}
    assert sample["input"][2]["content"][1]["text"] == hostile
    assert [call["function"] for call in sample["input"][3]["tool_calls"]] == [
        "f",
        "g",
        "unknown",
    ]
    reasoning, text = sample["output"]["choices"][0]["message"]["content"]
    assert (reasoning["reasoning"], text["text"]) == ("let me see", hostile)
    assert sample["output"]["choices"][0]["stop_reason"] == "max_tokens"
    used = sample["output"]["usage"]
    assert (used["input_tokens"], used["input_tokens_cache_read"]) == (6, 4)
    assert found["stats"]["model_usage"] == {"none/m": used}
    assert (used["output_tokens"], used["reasoning_tokens"], used["total_cost"]) == (5, 3, 0.25)


def test_repeats_are_epochs_and_scores_are_scores(tmp_path: Path) -> None:
    results = [answered("a", f"{n}", repeat=n, request_key=f"k{n}") for n in range(2)]
    run = write_run(tmp_path / "run", results, samples=1, repeats=2)
    scores, output = tmp_path / "scores.jsonl", tmp_path / "out.eval"
    scores.write_text('{"request_key": "k1", "right": true}\n')
    arguments = ["--to", "inspect", "-o", str(output), "--scores", str(scores)]
    assert main([str(run), *arguments]) == 0
    one, other = sorted(dumped(output)["samples"], key=lambda sample: int(sample["epoch"]))
    assert (one["epoch"], other["epoch"]) == (1, 2)
    assert "scores" not in one
    assert other["scores"]["right"]["value"] == 1


def test_several_runs_are_a_folder_of_logs_and_none_takes_the_name_of_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, folder in (("x", "one"), ("y", "one"), ("z", "one-2")):
        write_run(tmp_path / name / folder, [answered()], model=name)
    runs = [str(tmp_path / name) for name in ("x", "y", "z")]
    assert main([*runs, "--to", "inspect", "-o", str(tmp_path / "logs")]) == 0
    names = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert names == ["one.eval", "one-2.eval", "one-2-2.eval"]
    assert all((tmp_path / "logs" / name).is_file() for name in names)


@pytest.mark.parametrize(
    ("state", "status"),
    [("partial", "cancelled"), ("aborted", "error"), ("running", "started")],
)
def test_a_run_that_is_not_complete_says_so(tmp_path: Path, state: str, status: str) -> None:
    log = exported(tmp_path, answered(), samples=2, state=state, reason="why")
    found = dumped(log)
    assert found["status"] == status
    assert (found["results"]["total_samples"], found["results"]["completed_samples"]) == (2, 1)
