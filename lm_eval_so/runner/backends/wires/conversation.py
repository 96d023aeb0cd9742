"""Reads messages of Chat Completions, to be written in another wire's way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ = {"role", "content", "tool_calls", "tool_call_id", "refusal"}
_PASSED_OVER = {"reasoning_content", "reasoning", "reasoning_details", "annotations"}
"""What an earlier answer may hold beside its text, and Chat Completions does not read either."""


class NotCarriedError(ValueError):
    """A message or a parameter that a wire has no place for, in one sentence."""


class Call(NamedTuple):
    """A tool call of an assistant's message; its arguments are JSON."""

    id: str
    name: str
    arguments: str


def check_keys(message: Mapping[str, Any], where: str, wire: str) -> None:
    """Looks whether a message holds something that would be lost.

    Args:
        message: As Chat Completions has it.
        where: Its place, for the error: ``messages[2]``.
        wire: Its name, for the error.

    Raises:
        NotCarriedError: It does.
    """
    role = message["role"]
    if role == "function":
        raise NotCarriedError(
            f"{where} has the role 'function', of the API before tools: {wire} takes 'tool' with a "
            "tool_call_id"
        )
    known = _READ | _PASSED_OVER | ({"name"} if role == "tool" else set())
    for key, value in message.items():
        if key not in known and value not in (None, [], {}, ""):
            raise NotCarriedError(f"{where} has {key!r}, which {wire} has no place for")


def calls_of(message: Mapping[str, Any], where: str, wire: str) -> list[Call]:
    """The tool calls of an assistant's message.

    Raises:
        NotCarriedError: One has no id or no name, or is of another type than ``function``.
    """
    return [
        _call(call, f"{where}.tool_calls[{position}]", wire)
        for position, call in enumerate(message.get("tool_calls") or ())
    ]


def answered_call(message: Mapping[str, Any], where: str, wire: str) -> str:
    """The id of the call that a ``tool`` message answers.

    Raises:
        NotCarriedError: It names none.
    """
    call = message.get("tool_call_id")
    if not call:
        raise NotCarriedError(
            f"{where} is a tool's answer without the tool_call_id that {wire} needs"
        )
    return str(call)


def parts_of(content: object, where: str) -> list[dict[str, Any]]:
    """A content as a list of parts; a null or empty one has none.

    Raises:
        NotCarriedError: It is no content.
    """
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not (isinstance(content, list) and all(isinstance(part, dict) for part in content)):
        raise NotCarriedError(f"{where}.content is no text, and no list of parts")
    return content


def uncarried_part(part: Mapping[str, Any], where: str, wire: str) -> NotCarriedError:
    """What to raise for a part that a wire has no place for."""
    return NotCarriedError(
        f"{where} is a part of type {part.get('type')!r}, which {wire} does not take"
    )


def image_url(part: Mapping[str, Any], where: str) -> tuple[str, str | None]:
    """Address and detail of an ``image_url`` part.

    Raises:
        NotCarriedError: It names no image.
    """
    image = part.get("image_url")
    url, detail = (
        (image.get("url"), image.get("detail")) if isinstance(image, dict) else (image, None)
    )
    if not (isinstance(url, str) and url):
        raise NotCarriedError(f"{where} is an image_url part without a url")
    return url, detail if isinstance(detail, str) else None


def _call(call: Mapping[str, Any], where: str, wire: str) -> Call:
    function = call.get("function")
    if not (isinstance(function, dict) and function.get("name")):
        raise NotCarriedError(f"{where} is no call of a function, which {wire} would need")
    if not call.get("id"):
        raise NotCarriedError(f"{where} has no id, which {wire} needs")
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = orjson.dumps(arguments or {}).decode()
    return Call(str(call["id"]), str(function["name"]), arguments)
