"""What a trace says of a result."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mlflow.genai.utils.trace_utils import parse_outputs_to_str
from mlflow.tracing.constant import SpanAttributeKey, TokenUsageKey

from lm_eval_so.runner.models import AnswerChoice, ChatResponse, RunResult, TokenUsage
from lm_eval_so.tracking.trace_content import (
    attributes_of,
    expectations_of,
    inputs_of,
    outputs_of,
)
from support.results import result

CALLS = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


def line(found: RunResult, **changed: object) -> dict[str, Any]:
    return json.loads(found.model_copy(update=changed).model_dump_json())


def answered(**fields: object) -> dict[str, Any]:
    return line(result(), response=ChatResponse.model_validate({"text": "yes", **fields}))


def expecting(expected: object) -> dict[str, Any]:
    context = result().request_context.model_copy(update={"expected": expected})
    return line(result(), request_context=context)


def test_inputs_are_a_request_of_chat_completions() -> None:
    config = result().run_config.model_copy(update={"parameters": {"temperature": 0}})
    assert inputs_of(line(result(), run_config=config)) == {
        "model": "m",
        "messages": [{"role": "user", "content": "q"}],
        "temperature": 0,
    }


class TestOutputs:
    def test_are_the_whole_answer_of_a_server_of_chat_completions(self) -> None:
        raw = {"id": "x", "choices": [{"message": {"content": "yes"}}]}
        assert outputs_of(answered(raw=raw)) == raw

    @pytest.mark.parametrize("raw", [None, {"content": [{"text": "yes"}]}, "yes"])
    def test_are_made_where_there_is_no_such_answer(self, raw: object) -> None:
        assert outputs_of(answered(raw=raw, finish_reason="stop")) == {
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "yes"},
                    "finish_reason": "stop",
                }
            ]
        }

    def test_have_reasoning_tool_calls_and_refusal(self) -> None:
        (choice,) = outputs_of(answered(reasoning="hm", tool_calls=CALLS, refusal="no"))["choices"]
        assert choice["message"] == {
            "role": "assistant",
            "content": "yes",
            "reasoning": "hm",
            "tool_calls": CALLS,
            "refusal": "no",
        }

    def test_have_every_choice(self) -> None:
        choices = (
            AnswerChoice(text="yes", finish_reason="stop"),
            AnswerChoice(text="no", finish_reason="length", reasoning="hm"),
        )
        made = outputs_of(answered(finish_reason="stop", choices=choices))["choices"]
        assert [(c["index"], c["message"]["content"], c["finish_reason"]) for c in made] == [
            (0, "yes", "stop"),
            (1, "no", "length"),
        ]
        assert made[1]["message"]["reasoning"] == "hm"

    def test_are_the_error_of_a_failed_sample(self) -> None:
        assert outputs_of(line(result(fails=True)))["error"]["error_type"] == "InternalServerError"

    def test_read_as_text_by_mlflows_judges(self) -> None:
        assert parse_outputs_to_str(outputs_of(answered())) == "yes"
        assert parse_outputs_to_str(outputs_of(answered(text="", tool_calls=CALLS))) == ""

    def test_of_a_line_of_schema_version_1_are_made_of_its_text(self) -> None:
        old = answered()
        old["schema_version"] = 1
        old["response"] = {"text": "yes", "finish_reason": "stop", "raw": None, "tokens": None}
        assert parse_outputs_to_str(outputs_of(old)) == "yes"


@pytest.mark.parametrize(
    ("expected", "named"),
    [
        pytest.param(None, {}, id="nothing"),
        pytest.param("Paris", {"expected_response": "Paris"}, id="text"),
        pytest.param(4, {"expected_response": 4}, id="number"),
        pytest.param(False, {"expected_response": False}, id="truth"),
        pytest.param(["a", "b"], {"expected": ["a", "b"]}, id="list"),
        pytest.param({"city": "Paris"}, {"expected": {"city": "Paris"}}, id="dict-of-ones-own"),
        pytest.param(
            {"expected_facts": ["x"], "guidelines": None, "level": 2},
            {"expected_facts": ["x"], "level": 2},
            id="dict-for-scorers",
        ),
    ],
)
def test_what_is_expected_has_the_name_that_scorers_read(
    expected: object, named: dict[str, object]
) -> None:
    assert expectations_of(expecting(expected)) == named


class TestAttributes:
    def test_have_tokens_under_the_names_of_mlflow(self) -> None:
        tokens = TokenUsage(input=9, output=5, total=14, cached=4, reasoning=3)
        found = attributes_of(answered(tokens=tokens))
        usage = found[SpanAttributeKey.CHAT_USAGE]
        assert usage == {
            "input_tokens": 9,
            "output_tokens": 5,
            "total_tokens": 14,
            "cache_read_input_tokens": 4,
        }
        assert usage.keys() <= set(TokenUsageKey.all_keys())
        assert found["reasoning_tokens"] == 3

    def test_name_the_model_that_served_and_how_the_answer_ended(self) -> None:
        found = attributes_of(answered(model="m-2026", finish_reason="max_tokens"))
        assert found[SpanAttributeKey.MODEL] == "m-2026"
        assert found["gen_ai.response.model"] == "m-2026"
        assert found["gen_ai.response.finish_reasons"] == ["length"]

    def test_name_the_model_that_was_asked_where_nothing_came(self) -> None:
        found = attributes_of(line(result(fails=True)))
        assert found[SpanAttributeKey.MODEL] == "m"
        assert "gen_ai.response.model" not in found
        assert SpanAttributeKey.CHAT_USAGE not in found

    def test_have_a_cost_only_where_it_is_known(self) -> None:
        assert SpanAttributeKey.LLM_COST not in attributes_of(answered())
        known = attributes_of(line(result(), cost_usd=0.25))
        assert known[SpanAttributeKey.LLM_COST] == {"total_cost": 0.25}
