"""JSONL whose lines are those of the SDK's own type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from openai.types.evals.create_eval_jsonl_run_data_source_param import SourceFileContentContent
from pydantic import ConfigDict, TypeAdapter

from lm_eval_so.report.export.cli import main
from support.run_directories import answered, failed, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from lm_eval_so.runner.models import RunResult

CALLS = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def exported(tmp_path: Path, *results: RunResult) -> list[dict[str, Any]]:
    run, output = write_run(tmp_path / "run", results), tmp_path / "out.jsonl"
    assert main([str(run), "--to", "openai_evals", "-o", str(output)]) == 0
    return [json.loads(line) for line in output.read_text(encoding="utf-8").split("\n")[:-1]]


def test_each_line_is_one_of_the_sdk(tmp_path: Path) -> None:
    setattr(SourceFileContentContent, "__pydantic_config__", ConfigDict(extra="forbid"))  # noqa: B010 - it is no attribute of a TypedDict
    check = TypeAdapter(SourceFileContentContent).validate_python
    lines = exported(tmp_path, answered("a"), failed("b"))
    assert [check(line) for line in lines] == lines


def test_graders_find_the_answer_under_their_names(tmp_path: Path) -> None:
    response = {"tool_calls": CALLS, "finish_reason": "tool_calls", "model": "m-1"}
    context = {"expected": {"city": "Paris"}, "sample_tags": ["x"]}
    (line,) = exported(tmp_path, answered("a", "hm\u2028", response=response, context=context))
    sample, item = line["sample"], line["item"]
    assert (sample["output_text"], sample["output_tools"]) == ("hm\u2028", CALLS)
    message = sample["choices"][0]["message"]
    assert (message["content"], message["tool_calls"]) == ("hm\u2028", CALLS)
    assert json.loads(item["expected"]) == {"city": "Paris"}
    assert item["input"] == [{"role": "user", "content": "q"}]


def test_several_choices_are_all_there(tmp_path: Path) -> None:
    choices = [{"text": "one", "finish_reason": "stop"}, {"text": "two", "refusal": "no"}]
    (line,) = exported(tmp_path, answered("a", "one", response={"choices": choices}))
    assert [choice["index"] for choice in line["sample"]["choices"]] == [0, 1]
    assert line["sample"]["choices"][1]["message"]["refusal"] == "no"


def test_a_failed_sample_is_counted_and_its_error_is_no_answer(tmp_path: Path) -> None:
    (line,) = exported(tmp_path, failed("b"))
    assert "sample" not in line
    assert (line["item"]["status"], line["item"]["error"]) == ("error", "InternalServerError: down")
