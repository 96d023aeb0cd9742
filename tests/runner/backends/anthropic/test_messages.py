"""What is sent to the Messages API, beside the SDK's own types."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)

from lm_eval_so.runner.backends.anthropic.backend import AnthropicBackend
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


def backend(options: dict[str, Any] | None = None, **parameters: Any) -> AnthropicBackend:  # noqa: ANN401 - any
    given = {"api_key": "sk-ant-0123456789", **(options or {})}
    config = RunConfig(
        backend="anthropic", model="claude-x", parameters=parameters, backend_options=given
    )
    return AnthropicBackend(config, environ={})


def body(*messages: dict[str, Any], **own: Any) -> dict[str, Any]:  # noqa: ANN401 - any
    return body_of(backend(), *messages, **own)


def carried(*messages: dict[str, Any]) -> dict[str, Any]:
    sent = body(*messages)
    return {name: sent[name] for name in ("system", "messages") if name in sent}


@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_each_conversation_is_what_the_sdk_takes(messages: list[dict[str, Any]]) -> None:
    assert conforms(body(*messages), MessageCreateParamsNonStreaming)


@pytest.mark.parametrize("own", SAMPLE_PARAMETERS.values(), ids=SAMPLE_PARAMETERS)
def test_each_parameter_of_a_sample_is_what_the_sdk_takes(own: dict[str, Any]) -> None:
    assert conforms(body(user("q"), **own), MessageCreateParamsNonStreaming)


def test_a_streamed_body_with_thinking_is_what_the_sdk_takes() -> None:
    asked = backend(
        stream=True,
        thinking={"type": "enabled", "budget_tokens": 1024},
        service_tier="standard_only",
        stop="END",
        reasoning_effort="low",
        user="u1",
        max_completion_tokens=2048,
    )
    sent = body_of(asked, user("q"))
    assert conforms(sent, MessageCreateParamsStreaming)
    assert sent["stop_sequences"] == ["END"]
    assert sent["output_config"] == {"effort": "low"}
    assert sent["metadata"] == {"user_id": "u1"}
    assert sent["max_tokens"] == 2048


def test_the_api_gets_the_max_tokens_that_it_needs() -> None:
    assert body(user("q"))["max_tokens"] == 8192
    assert body_of(backend(max_tokens=5), user("q"))["max_tokens"] == 5
    with pytest.raises(ConfigError, match=r"needs max_tokens; set params\.max_tokens"):
        backend({"request_defaults": {}})


def test_system_messages_before_the_first_turn_are_hoisted_and_later_ones_stay() -> None:
    assert carried(*CONVERSATIONS["system"]) == {"system": "be brief", "messages": [user("q")]}
    assert carried(*CONVERSATIONS["several systems"])["system"] == [
        {"type": "text", "text": "be brief"},
        {"type": "text", "text": "be kind"},
    ]
    middle = carried(*CONVERSATIONS["system in the middle"])
    assert "system" not in middle
    assert middle["messages"][2] == {"role": "system", "content": "be brief"}


def test_a_cache_mark_on_a_system_text_is_kept() -> None:
    part = {"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}
    assert carried({"role": "system", "content": [part]}, user("q"))["system"] == [part]


def test_answers_of_tools_become_one_user_message() -> None:
    messages = carried(*CONVERSATIONS["tools"])["messages"]
    assert [message["role"] for message in messages] == [
        *("user", "assistant", "user", "assistant", "user", "user")
    ]
    assert messages[1]["content"] == [
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"town": "Oslo"}},
        {"type": "tool_use", "id": "call_2", "name": "weather", "input": {}},
    ]
    assert messages[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "rain"},
        {
            "type": "tool_result",
            "tool_use_id": "call_2",
            "content": [{"type": "text", "text": "sun"}],
        },
    ]


def test_images_and_documents_become_sources() -> None:
    (message,) = carried(*CONVERSATIONS["images"])["messages"]
    assert message["content"][1:] == [
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": "image/png",
                "data": PNG.partition(",")[2],
            },
        },
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    ]
    (message,) = carried(*CONVERSATIONS["file"])["messages"]
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF.partition(",")[2]}
    assert message["content"] == [{"type": "document", "source": source, "title": "a.pdf"}]


def test_blocks_of_the_api_pass_as_they_are() -> None:
    thoughts = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
    said = {"role": "assistant", "content": [thoughts, {"type": "text", "text": "a"}]}
    assert carried(user("q"), said, user("q2"))["messages"][1] == said


def test_tools_and_choices_are_written_as_the_api_has_them() -> None:
    sent = body(user("q"), **SAMPLE_PARAMETERS["a tool without parameters"])
    schema = {"type": "object", "properties": {}}
    assert sent["tools"] == [{"name": "now", "strict": True, "input_schema": schema}]
    assert sent["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    sent = body(user("q"), **SAMPLE_PARAMETERS["one tool at a time"])
    assert sent["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    sent = body(user("q"), **SAMPLE_PARAMETERS["this tool"])
    assert sent["tool_choice"] == {"type": "tool", "name": "weather"}
    assert sent["tools"][0]["input_schema"] == WEATHER["function"]["parameters"]  # type: ignore[index]
    native = {"type": "web_search_20250305", "name": "web_search"}
    assert body(user("q"), tools=[native])["tools"] == [native]
    assert "tool_choice" not in body(user("q"), parallel_tool_calls=False)


def test_a_sample_s_own_parameters_take_the_place_of_the_run_s() -> None:
    sent = body_of(
        backend(tool_choice={"type": "tool", "name": "other"}), user("q"), tools=[WEATHER]
    )
    assert sent["tool_choice"] == {"type": "tool", "name": "other"}
    asked = backend(tool_choice={"type": "tool", "name": "other"})
    sent = body_of(asked, user("q"), tools=[WEATHER], tool_choice="auto")
    assert sent["tool_choice"] == {"type": "auto"}


UNCARRIED: dict[str, tuple[list[dict[str, Any]], dict[str, Any], str]] = {
    "sound": (
        [user([{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}])],
        {},
        r"messages\[0\]\.content\[0\] is a part of type 'input_audio'",
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
    "arguments that are no object": (
        [user("q"), {"role": "assistant", "tool_calls": [call(arguments="[1]")]}],
        {},
        "arguments that are no JSON object",
    ),
    "the function role": (
        [user("q"), {"role": "function", "name": "f", "content": "rain"}],
        {},
        "has the role 'function'",
    ),
    "a name": ([{**user("q"), "name": "Ann"}], {}, r"messages\[0\] has 'name'"),
    "an empty turn": ([user("")], {}, r"messages\[0\] has no content"),
    "an empty part": ([user([{"type": "text", "text": ""}])], {}, "is an empty text"),
    "nothing but a system": ([{"role": "system", "content": "x"}], {}, "only system messages"),
    "a bitmap": (
        [user([{"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AA=="}}])],
        {},
        "is an image of type image/bmp",
    ),
    "a bitmap by its name": (
        [user([{"type": "image_url", "image_url": {"url": "file:a.bmp#sha256=0"}}])],
        {},
        "is an image of type image/bmp",
    ),
    "a spreadsheet": (
        [user([{"type": "file", "file": {"file_data": "data:text/csv;base64,AA=="}}])],
        {},
        "is a file of type text/csv",
    ),
    "a JSON mode": (
        [user("q")],
        {"response_format": {"type": "json_object"}},
        "the parameter response_format=.* has no counterpart in the Messages API",
    ),
}


@pytest.mark.parametrize(("messages", "own", "told"), UNCARRIED.values(), ids=UNCARRIED)
def test_what_the_api_has_no_place_for_is_told(
    messages: list[dict[str, Any]], own: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        backend().examine(messages, own)  # type: ignore[arg-type]


def test_a_file_that_is_not_filled_in_yet_passes_the_examination() -> None:
    part = {"type": "image_url", "image_url": {"url": "file:a.png#sha256=0"}}
    backend().examine([user([part])], {})  # type: ignore[list-item]


@pytest.mark.parametrize(
    "wrong", [{"n": 2}, {"seed": 1}, {"logprobs": True}, {"presence_penalty": 0.5}], ids=str
)
def test_a_parameter_of_the_run_without_a_counterpart_is_told(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=f"backend=anthropic: the parameter {name}="):
        backend(**wrong)


def test_what_changes_nothing_is_left_out() -> None:
    asked = backend(n=1, presence_penalty=0, stream=True, stream_options={"include_usage": True})
    assert body_of(asked, user("q")).keys() == {"model", "max_tokens", "stream", "messages"}
