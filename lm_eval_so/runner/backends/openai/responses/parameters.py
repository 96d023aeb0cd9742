"""Parameters of Chat Completions as the Responses API has them.

https://platform.openai.com/docs/guides/migrate-to-responses
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.wires.conversation import NotCarriedError
from lm_eval_so.runner.backends.wires.parameters import (
    Fragment,
    Writer,
    function_of,
    only,
    sent_as,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


def _tools(_: str, tools: Any) -> Fragment:  # noqa: ANN401 - any parameter
    return {"tools": [_tool(tool) for tool in tools]}


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """A function stands in its tool. ``strict`` is said: it is on there, where nothing is."""
    function = function_of(tool)
    if function is None:
        return tool
    return {"type": "function", "parameters": None, "strict": False, **function}


def _tool_choice(_: str, choice: Any) -> Fragment:  # noqa: ANN401 - any parameter
    function = function_of(choice) if isinstance(choice, dict) else None
    return {"tool_choice": {"type": "function", **function} if function else choice}


def _format(_: str, wanted: Any) -> Fragment:  # noqa: ANN401 - any parameter
    schema = wanted.get("json_schema") if isinstance(wanted, dict) else None
    if isinstance(schema, dict):
        wanted = {"type": "json_schema", **schema}
    return {"text": {"format": wanted}}


def _stream_options(name: str, options: Any) -> Fragment:  # noqa: ANN401 - any parameter
    """The usage always comes there, without being asked for."""
    kept = {key: options[key] for key in options if key != "include_usage"}
    return {name: kept} if kept else {}


def _in_the_foreground(name: str, value: Any) -> Fragment:  # noqa: ANN401 - any parameter
    if value:
        raise NotCarriedError("gives an id in the place of an answer; leave it out with")
    return {name: value}


WRITERS: dict[str, Writer] = {
    "max_tokens": sent_as("max_output_tokens"),
    "max_completion_tokens": sent_as("max_output_tokens"),
    "reasoning_effort": sent_as("reasoning", "effort"),
    "verbosity": sent_as("text", "verbosity"),
    "response_format": _format,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "stream_options": _stream_options,
    "background": _in_the_foreground,
    "n": only(1),
    "stop": only([], ""),
    "seed": only(),
    "logprobs": only(False),  # noqa: FBT003 - a value
    "logit_bias": only({}),
    "presence_penalty": only(0),
    "frequency_penalty": only(0),
    "modalities": only(["text"]),
    "audio": only(),
    "prediction": only(),
    "functions": only([]),
    "function_call": only(),
    "web_search_options": only(),
}
"""By the names of Chat Completions; those of the Responses API pass as they are."""
