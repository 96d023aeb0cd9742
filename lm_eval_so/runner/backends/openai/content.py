"""The content of a message: text, parts, or JSON that should have been text."""

from __future__ import annotations

from typing import Any

import orjson

from lm_eval_so.runner.text.sanitise import sanitise_json

_THOUGHTS = ("thinking", "reasoning")  # types of parts
_PARTS = ("text", "output_text", "refusal", *_THOUGHTS)


def readable(content: object) -> str | list[Any] | None:
    """The content as text, or as a list of parts; None where there is none.

    A number, a bool, and an object or a list that is no part are their compact JSON: Workers AI
    streams digits as numbers, and gateways send structured output that they have parsed.
    """
    if isinstance(content, str | None):
        return content
    if _is_part(content):
        return [content]
    if isinstance(content, list) and (not content or any(map(_is_item, content))):
        return content
    return orjson.dumps(sanitise_json(content)).decode()


def _is_part(content: object) -> bool:
    """Whether an object stands where a list of parts should."""
    return isinstance(content, dict) and ("text" in content or content.get("type") in _PARTS)


def _is_item(item: object) -> bool:
    """Whether something stands in a list of parts, and in no list that is an answer."""
    return isinstance(item, str | list | None) or (
        isinstance(item, dict) and ("type" in item or "text" in item)
    )


def text_of(part: object) -> str:
    """The text of a part of a content: an object, a list of parts or a plain string."""
    match part:
        case str():
            return part
        case list():
            return "".join(map(text_of, part))
        case {"type": "thinking" | "reasoning"}:
            return ""
        case (
            {"text": text}
            | {"value": text}  # OpenAI's Assistants: {"text": {"value": ...}}
            | {"type": "text" | "output_text", "content": text}
            | {"type": "refusal", "refusal": text}
        ):
            return text_of(text)
    return ""


def thoughts_of(parts: list[Any]) -> str:
    """The reasoning among the parts of a content (Mistral)."""
    found = (part for part in parts if isinstance(part, dict) and part.get("type") in _THOUGHTS)
    return "".join(text_of(part.get(part["type"]) or part.get("text")) for part in found)
