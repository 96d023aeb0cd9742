"""Bodies as a backend would send them, and conversations that are hard to carry."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from lm_eval_so.runner.models import TestSample
from support.requests import request_of

if TYPE_CHECKING:
    from lm_eval_so import ChatBackend

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0xLjQ="
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "of a town",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    },
}


def call(id_: str | None = "call_1", arguments: Any = '{"town": "Oslo"}') -> dict[str, Any]:  # noqa: ANN401 - also wrong ones
    made = {"type": "function", "function": {"name": "weather", "arguments": arguments}}
    return made if id_ is None else {"id": id_, **made}


def body_of(backend: ChatBackend, *messages: dict[str, Any], **own: Any) -> dict[str, Any]:  # noqa: ANN401 - a sample's
    """What is sent for a sample with these messages, as JSON data."""
    sample = TestSample(id="s0", messages=list(messages), **own)
    request = request_of(sample, 0, backend.config, "key", "trace")
    body: dict[str, Any] = orjson.loads(asyncio.run(backend.preview(request)).body)
    return body


def user(content: Any) -> dict[str, Any]:  # noqa: ANN401 - text or parts
    return {"role": "user", "content": content}


CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "plain": [user("q")],
    "system": [{"role": "system", "content": "be brief"}, user("q")],
    "several systems": [
        {"role": "system", "content": "be brief"},
        {"role": "developer", "content": [{"type": "text", "text": "be kind"}]},
        user("q"),
    ],
    "system in the middle": [
        user("q"),
        {"role": "assistant", "content": "a"},
        {"role": "system", "content": "be brief"},
        user("q2"),
    ],
    "several turns": [user("q"), {"role": "assistant", "content": "a"}, user("q2")],
    "parts": [user([{"type": "text", "text": "q"}, {"type": "text", "text": "and"}])],
    "parts of an answer": [
        user("q"),
        {"role": "assistant", "content": [{"type": "text", "text": "a"}], "refusal": None},
        user("q2"),
    ],
    "images": [
        user(
            [
                {"type": "text", "text": "what is it?"},
                {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            ]
        )
    ],
    "file": [user([{"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}}])],
    "tools": [
        user("q"),
        {"role": "assistant", "content": None, "tool_calls": [call(), call("call_2", "")]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "sun"}]},
        {"role": "assistant", "content": "rain", "tool_calls": [call("call_3")]},
        {"role": "tool", "tool_call_id": "call_3", "name": "weather", "content": ""},
        user("thanks"),
    ],
    "refused before": [
        user("q"),
        {"role": "assistant", "content": None, "refusal": "no"},
        user("and now?"),
    ],
    "reasoned before": [
        user("q"),
        {"role": "assistant", "content": "a", "reasoning_content": "hm"},
        user("q2"),
    ],
}
"""Each can be carried by both wires."""

SAMPLE_PARAMETERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "tools": {"tools": [WEATHER]},
    "a tool without parameters": {
        "tools": [{"type": "function", "function": {"name": "now", "strict": True}}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
    },
    "one tool at a time": {"tools": [WEATHER], "parallel_tool_calls": False},
    "this tool": {
        "tools": [WEATHER],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    },
    "no tool now": {"tools": [WEATHER], "tool_choice": "none"},
    "a schema": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
        }
    },
    "text": {"response_format": {"type": "text"}},
}
