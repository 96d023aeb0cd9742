"""Parameters of Chat Completions as the Messages API has them.

https://platform.claude.com/docs/en/api/openai-sdk lists what has a counterpart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.anthropic.blocks import WIRE
from lm_eval_so.runner.backends.wires.conversation import NotCarriedError
from lm_eval_so.runner.backends.wires.parameters import (
    Fragment,
    Writer,
    function_of,
    only,
    sent_as,
    translated,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHOICES = {"auto": "auto", "required": "any", "none": "none"}


def message_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as they are sent.

    Raises:
        NotCarriedError: One has no counterpart.
    """
    body = translated(parameters, _WRITERS, WIRE)
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        choice = {"type": "auto", **choice}
        if choice["type"] == "none":
            choice.pop("disable_parallel_tool_use", None)
        if body.get("tools"):
            body["tool_choice"] = choice
        else:  # refused without tools
            del body["tool_choice"]
    return body


def _tools(_: str, tools: Any) -> Fragment:  # noqa: ANN401 - any parameter
    return {"tools": [_tool(tool) for tool in tools]}


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    function = function_of(tool)
    if function is None:
        return tool
    named = {key: function[key] for key in ("name", "description", "strict") if key in function}
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return {**named, "input_schema": schema}


def _tool_choice(name: str, choice: Any) -> Fragment:  # noqa: ANN401 - any parameter
    match choice:
        case str() if choice in _CHOICES:
            return {name: {"type": _CHOICES[choice]}}
        case {"type": "function", "function": {"name": function}}:
            return {name: {"type": "tool", "name": function}}
        case {"type": "auto" | "any" | "tool" | "none"}:
            return {name: choice}
    raise NotCarriedError("has no counterpart in")


def _parallel(_: str, value: Any) -> Fragment:  # noqa: ANN401 - any parameter
    return {} if value else {"tool_choice": {"disable_parallel_tool_use": True}}


def _format(_: str, wanted: Any) -> Fragment:  # noqa: ANN401 - any parameter
    match wanted:
        case {"type": "text"}:
            return {}
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
    raise NotCarriedError("has no counterpart in")


def _stop(_: str, words: Any) -> Fragment:  # noqa: ANN401 - any parameter
    return {"stop_sequences": [words] if isinstance(words, str) else words}


_WRITERS: dict[str, Writer] = {
    "max_completion_tokens": sent_as("max_tokens"),
    "reasoning_effort": sent_as("output_config", "effort"),
    "user": sent_as("metadata", "user_id"),
    "response_format": _format,
    "stop": _stop,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _parallel,
    "stream_options": only({}, {"include_usage": True}, {"include_usage": False}),
    "n": only(1),
    "seed": only(),
    "logprobs": only(False),  # noqa: FBT003 - a value
    "top_logprobs": only(0),
    "logit_bias": only({}),
    "presence_penalty": only(0),
    "frequency_penalty": only(0),
    "modalities": only(["text"]),
    "audio": only(),
    "prediction": only(),
    "functions": only([]),
    "function_call": only(),
    "web_search_options": only(),
    "verbosity": only(),
}
"""By the names of Chat Completions; those of the Messages API pass as they are."""
