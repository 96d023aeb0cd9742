"""Answers of the Responses API, whole and as the events that they come to."""

from __future__ import annotations

from typing import Any

USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 9},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 130,
}


def said(*texts: str, kind: str = "output_text") -> dict[str, Any]:
    key = "refusal" if kind == "refusal" else "text"
    notes = {} if kind == "refusal" else {"annotations": []}
    content = [{"type": kind, key: text, **notes} for text in texts]
    whole = {"id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    return {"type": "message", **whole}


CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"town":"Oslo"}',
    "status": "completed",
}
THOUGHTS = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [
        {"type": "summary_text", "text": "first"},
        {"type": "summary_text", "text": "then"},
    ],
}


def response(*output: dict[str, Any], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "gpt-x-2026",
        "output": list(output),
        "parallel_tool_calls": True,
        "service_tier": "flex",
        "tool_choice": "auto",
        "tools": [],
        "usage": USAGE,
        **more,
    }


WHOLE = response(THOUGHTS, said("it is ", "raining"), CALL)


def events(whole: dict[str, Any], *, repeats_output: bool = True) -> list[dict[str, Any]]:
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    made: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for index, item in enumerate(whole["output"]):
        made.append({"type": "response.output_item.added", "output_index": index, "item": item})
        kind, text = {
            "reasoning": ("response.reasoning_summary_text.delta", "first"),
            "message": ("response.output_text.delta", "it is"),
            "function_call": ("response.function_call_arguments.delta", "{}"),
        }[item["type"]]
        made += [{"type": kind, "output_index": index, "delta": letter} for letter in text]
        made.append({"type": "response.output_item.done", "output_index": index, "item": item})
    last = whole if repeats_output else {**whole, "output": []}
    return [*made, {"type": f"response.{whole['status']}", "response": last}]
