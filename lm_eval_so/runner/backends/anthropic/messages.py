"""Messages of Chat Completions as the Messages API has them.

- System messages before the first turn become ``system``; later ones stay where they are.
- Answers of tools that follow each other become one user message, as the API asks for.
- Blocks of the API's own, such as ``thinking`` with its signature, pass as they are.
"""

from __future__ import annotations

from itertools import groupby, takewhile
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from lm_eval_so.runner.backends.anthropic.blocks import WIRE, content_blocks, text_of
from lm_eval_so.runner.backends.wires.conversation import (
    NotCarriedError,
    answered_call,
    calls_of,
    check_keys,
    parts_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lm_eval_so.runner.backends.wires.conversation import Call
    from lm_eval_so.runner.models import Message

_SYSTEM = ("system", "developer")
_Content = TypeVar("_Content", str, list[dict[str, Any]], str | list[dict[str, Any]])

Placed = tuple[str, "Message"]
"""A message, and its place for an error."""


def conversation(messages: Sequence[Message]) -> dict[str, Any]:
    """A conversation as ``system`` and ``messages``; no ``system`` where there is none.

    Raises:
        NotCarriedError: A message has no place there.
    """
    placed = [(f"messages[{position}]", message) for position, message in enumerate(messages)]
    for where, message in placed:
        check_keys(message, where, WIRE)
    first = list(takewhile(_is_system, placed))
    turns = placed[len(first) :]
    if not turns:
        raise NotCarriedError(f"there are only system messages, and {WIRE} needs a user's")
    system = _system(first)
    return {**({"system": system} if system else {}), "messages": list(_turns(turns))}


def _is_system(placed: Placed) -> bool:
    return placed[1]["role"] in _SYSTEM


def _system(first: list[Placed]) -> str | list[dict[str, Any]]:
    """A single text as text, and more as blocks."""
    blocks = [
        {**part, "type": "text", "text": text_of(part, f"{where}.content[{at}]")}
        for where, message in first
        for at, part in enumerate(parts_of(message.get("content"), where))
    ]
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return blocks


def _turns(turns: Iterable[Placed]) -> Iterator[dict[str, Any]]:
    for of_tools, group in groupby(turns, lambda placed: placed[1]["role"] == "tool"):
        if of_tools:
            yield {"role": "user", "content": [_tool_result(*placed) for placed in group]}
        else:
            yield from (_turn(*placed) for placed in group)


def _turn(where: str, message: Message) -> dict[str, Any]:
    content = message.get("content")
    match message["role"]:
        case "assistant":
            return {"role": "assistant", "content": _said(where, message)}
        case "system" | "developer":
            return {"role": "system", "content": _filled(where, _system([(where, message)]))}
        case role:
            if isinstance(content, str):
                return {"role": role, "content": _filled(where, content)}
            blocks = content_blocks(parts_of(content, where), f"{where}.content")
            return {"role": role, "content": _filled(where, blocks)}


def _said(where: str, message: Message) -> str | list[dict[str, Any]]:
    """An earlier answer: its text, and each tool call as a block."""
    calls = calls_of(message, where, WIRE)
    content = message.get("content") or message.get("refusal")
    if isinstance(content, str) and content and not calls:
        return content
    blocks = content_blocks(parts_of(content, where), f"{where}.content")
    blocks += [_tool_use(call, f"{where}.tool_calls[{at}]") for at, call in enumerate(calls)]
    return _filled(where, blocks)


def _tool_use(call: Call, where: str) -> dict[str, Any]:
    try:
        given = orjson.loads(call.arguments or b"{}")
    except orjson.JSONDecodeError:
        given = None
    if not isinstance(given, dict):
        raise NotCarriedError(f"{where} has arguments that are no JSON object, which {WIRE} needs")
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": given}


def _tool_result(where: str, message: Message) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": answered_call(message, where, WIRE)}
    content = message.get("content")
    if isinstance(content, str):
        return {**result, "content": content} if content else result
    blocks = content_blocks(parts_of(content, where), f"{where}.content")
    return {**result, "content": blocks} if blocks else result


def _filled(where: str, content: _Content) -> _Content:
    if not content:
        raise NotCarriedError(f"{where} has no content, which {WIRE} refuses")
    return content
