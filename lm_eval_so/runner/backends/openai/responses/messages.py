"""Messages of Chat Completions as input items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.wires.conversation import (
    answered_call,
    calls_of,
    check_keys,
    image_url,
    parts_of,
    uncarried_part,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lm_eval_so.runner.models import Message

WIRE = "the Responses API"
_ITS_OWN = {"input_text", "input_image", "input_file"}
_OF_A_FILE = ("file_id", "file_data", "filename")

Item = dict[str, Any]


def input_items(messages: Sequence[Message]) -> list[Item]:
    """A conversation as ``input``.

    Raises:
        NotCarriedError: A message has no place in it.
    """
    return [
        item
        for position, message in enumerate(messages)
        for item in _items(message, f"messages[{position}]")
    ]


def _items(message: Message, where: str) -> Iterator[Item]:
    check_keys(message, where, WIRE)
    content = message.get("content")
    match message["role"]:
        case "assistant":
            yield from _said(message, where)
        case "tool":
            call = answered_call(message, where, WIRE)
            yield {
                "type": "function_call_output",
                "call_id": call,
                "output": _content(content, where),
            }
        case role:
            yield {"role": role, "content": _content(content, where)}


def _said(message: Message, where: str) -> Iterator[Item]:
    """An earlier answer: its text as one message, and each tool call as an item of its own.

    Parts are joined: the parts that an assistant's message may have there need ids of the server.
    """
    calls = calls_of(message, where, WIRE)
    parts = parts_of(message.get("content"), where)
    text = "".join(_text(part, f"{where}.content[{at}]") for at, part in enumerate(parts))
    text = text or str(message.get("refusal") or "")
    if text or not calls:
        yield {"role": "assistant", "content": text}
    for call in calls:
        yield {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }


def _text(part: Mapping[str, Any], where: str) -> str:
    match part:
        case {"type": "text" | "output_text", "text": str(text)}:
            return text
        case {"type": "refusal", "refusal": str(text)}:
            return text
    raise uncarried_part(part, where, WIRE)


def _content(content: object, where: str) -> str | list[Item]:
    if content is None or isinstance(content, str):
        return content or ""
    parts = parts_of(content, where)
    return [_part(part, f"{where}.content[{at}]") for at, part in enumerate(parts)]


def _part(part: dict[str, Any], where: str) -> Item:
    match part:
        case {"type": "text", "text": str()}:
            return {**part, "type": "input_text"}
        case {"type": "image_url"}:
            url, detail = image_url(part, where)
            return {"type": "input_image", "image_url": url, "detail": detail or "auto"}
        case {"type": "file", "file": dict(file)}:
            return {"type": "input_file", **{key: file[key] for key in _OF_A_FILE if file.get(key)}}
        case {"type": str(kind)} if kind in _ITS_OWN:
            return part
    raise uncarried_part(part, where, WIRE)
