"""What is sent to the Responses API, beside the SDK's own types."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)

from lm_eval_so.runner.backends.openai.backend import OpenAIBackend
from lm_eval_so.runner.errors import ConfigError
from lm_eval_so.runner.models import RunConfig
from support.sdk_types import conforms
from support.wire_requests import (
    CONVERSATIONS,
    PDF,
    PNG,
    SAMPLE_PARAMETERS,
    WEATHER,
    body_of,
    call,
    user,
)


def backend(options: dict[str, Any] | None = None, **parameters: Any) -> OpenAIBackend:  # noqa: ANN401 - any
    given = {"api_key": "sk-0123456789", "wire": "responses", **(options or {})}
    config = RunConfig(
        backend="openai", model="gpt-x", parameters=parameters, backend_options=given
    )
    return OpenAIBackend(config, environ={})


def body(*messages: dict[str, Any], **own: Any) -> dict[str, Any]:  # noqa: ANN401 - any
    return body_of(backend(), *messages, **own)


@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_each_conversation_is_what_the_sdk_takes(messages: list[dict[str, Any]]) -> None:
    assert conforms(body(*messages), ResponseCreateParamsNonStreaming)


@pytest.mark.parametrize("own", SAMPLE_PARAMETERS.values(), ids=SAMPLE_PARAMETERS)
def test_each_parameter_of_a_sample_is_what_the_sdk_takes(own: dict[str, Any]) -> None:
    assert conforms(body(user("q"), **own), ResponseCreateParamsNonStreaming)


def test_parameters_of_chat_completions_are_written_as_the_api_has_them() -> None:
    asked = backend(
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=100,
        reasoning_effort="low",
        reasoning={"summary": "auto"},
        verbosity="low",
        service_tier="flex",
        temperature=0.5,
        n=1,
        logprobs=False,
    )
    sent = body_of(asked, user("q"), **SAMPLE_PARAMETERS["a schema"])
    assert conforms(sent, ResponseCreateParamsStreaming)
    assert sent == {
        "model": "gpt-x",
        "stream": True,
        "max_output_tokens": 100,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {
            "verbosity": "low",
            "format": {
                "type": "json_schema",
                "name": "answer",
                "schema": {"type": "object"},
                "strict": True,
            },
        },
        "service_tier": "flex",
        "temperature": 0.5,
        "input": [user("q")],
    }


def test_the_run_s_parameter_wins_over_a_default_of_another_name() -> None:
    asked = backend({"request_defaults": {"max_tokens": 5}}, max_completion_tokens=7)
    assert body_of(asked, user("q"))["max_output_tokens"] == 7


def test_a_tool_says_that_it_is_not_strict_as_chat_completions_takes_it() -> None:
    (tool,) = body(user("q"), tools=[WEATHER])["tools"]
    assert tool == {"type": "function", "strict": False, **WEATHER["function"]}  # type: ignore[dict-item]
    (tool,) = body(user("q"), **SAMPLE_PARAMETERS["a tool without parameters"])["tools"]
    assert tool == {"type": "function", "name": "now", "parameters": None, "strict": True}
    choice = body(user("q"), **SAMPLE_PARAMETERS["this tool"])["tool_choice"]
    assert choice == {"type": "function", "name": "weather"}
    native = {"type": "web_search"}
    assert body(user("q"), tools=[native])["tools"] == [native]


def test_tool_calls_and_their_answers_are_items() -> None:
    items = body(*CONVERSATIONS["tools"])["input"]
    assert [item.get("type", item.get("role")) for item in items] == [
        *("user", "function_call", "function_call", "function_call_output"),
        *("function_call_output", "assistant", "function_call", "function_call_output", "user"),
    ]
    assert items[1] == {
        "type": "function_call",
        "call_id": "call_1",
        "name": "weather",
        "arguments": '{"town": "Oslo"}',
    }
    assert items[3] == {"type": "function_call_output", "call_id": "call_1", "output": "rain"}


def test_images_and_files_are_input_parts() -> None:
    (message,) = body(*CONVERSATIONS["images"])["input"]
    assert message["content"] == [
        {"type": "input_text", "text": "what is it?"},
        {"type": "input_image", "image_url": PNG, "detail": "low"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"},
    ]
    (message,) = body(*CONVERSATIONS["file"])["input"]
    assert message["content"] == [{"type": "input_file", "file_data": PDF, "filename": "a.pdf"}]


def test_an_earlier_answer_is_its_text_or_its_refusal() -> None:
    assert body(*CONVERSATIONS["parts of an answer"])["input"][1]["content"] == "a"
    assert body(*CONVERSATIONS["refused before"])["input"][1]["content"] == "no"


UNCARRIED: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "sound": (
        [user([{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}])],
        {},
        r"messages\[0\]\.content\[0\] is a part of type 'input_audio', which the Responses API",
    ),
    "a tool without an id": (
        [user("q"), {"role": "tool", "content": "rain"}],
        {},
        r"messages\[1\] is a tool's answer without the tool_call_id",
    ),
    "a call without an id": (
        [user("q"), {"role": "assistant", "tool_calls": [call(None)]}],
        {},
        r"messages\[1\]\.tool_calls\[0\] has no id",
    ),
    "a call of another kind": (
        [user("q"), {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom"}]}],
        {},
        "is no call of a function",
    ),
    "a name": ([{**user("q"), "name": "Ann"}], {}, r"messages\[0\] has 'name'"),
    "an answer that is sound": (
        [user("q"), {"role": "assistant", "audio": {"id": "a1"}}],
        {},
        r"messages\[1\] has 'audio'",
    ),
}


@pytest.mark.parametrize(("messages", "own", "told"), UNCARRIED.values(), ids=UNCARRIED)
def test_what_the_api_has_no_place_for_is_told(
    messages: list[dict[str, Any]], own: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        backend().examine(messages, own)  # type: ignore[arg-type]
    OpenAIBackend(
        RunConfig(backend="openai", model="m", backend_options={"api_key": "sk-0123456789"}), {}
    ).examine(messages, own)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [{"n": 2}, {"seed": 1}, {"stop": ["x"]}, {"logprobs": True}, {"background": True}],
    ids=str,
)
def test_a_parameter_of_the_run_without_a_counterpart_is_told(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"wire=responses: the parameter {name}="):
        backend(**wrong)
