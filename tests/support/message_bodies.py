"""Answers of the Messages API, whole and as the events that they come to."""

from __future__ import annotations

from typing import Any

import orjson

USAGE = {
    "input_tokens": 7,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 1000,
    "output_tokens": 30,
    "output_tokens_details": {"thinking_tokens": 20},
    "service_tier": "priority",
}
BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "let me see", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "eA=="},
    {"type": "text", "text": "it is "},
    {"type": "text", "text": "raining"},
    {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"town": "Oslo"}},
]


def message(*content: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x-2026",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": USAGE,
        **more,
    }


WHOLE = message(*BLOCKS, stop_reason="tool_use")


def events(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a stream that comes to the message, as the API documents them."""
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**USAGE, "output_tokens": 1}}
    made: list[dict[str, Any]] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(whole["content"]):
        first, deltas = _in_deltas(block)
        made += [
            {"type": "content_block_start", "index": index, "content_block": first},
            *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": index},
        ]
    delta = {name: whole.get(name) for name in ("stop_reason", "stop_sequence", "stop_details")}
    counts = {"output_tokens": USAGE["output_tokens"], "input_tokens": None}
    details = {"output_tokens_details": USAGE["output_tokens_details"]}
    made.append({"type": "message_delta", "delta": delta, "usage": {**counts, **details}})
    return [*made, {"type": "message_stop"}]


def _in_deltas(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block["type"]:
        case "text":
            return {**block, "text": ""}, [
                {"type": "text_delta", "text": letter} for letter in block["text"]
            ]
        case "thinking":
            pieces = [{"type": "thinking_delta", "thinking": each} for each in block["thinking"]]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*pieces, signed]
        case "tool_use":
            text = orjson.dumps(block["input"]).decode()
            pieces = [{"type": "input_json_delta", "partial_json": each} for each in text]
            return {**block, "input": {}}, [
                {"type": "input_json_delta", "partial_json": ""},
                *pieces,
            ]
    return block, []


def sse(made: list[dict[str, Any]]) -> bytes:
    return b"".join(
        b"event: %s\ndata: %s\n\n" % (each["type"].encode(), orjson.dumps(each)) for each in made
    )
