"""The text of a content, in whatever form servers give it."""

from __future__ import annotations

from typing import Any

from lm_eval_so.runner.backends.http.json_body import invalid_body

_OF_TEXT = ("text", "output_text", None)  # types of parts; None: servers that do not say
_OF_PARTS = ("message", None)  # types of items that hold a content


def text_of(content: object, problem: str) -> str:
    """The text of a text alone, of a part, of an item with parts or of a list of any of these.

    Parts and items of other types, such as reasoning and calls, are passed over.

    Args:
        content: As it came.
        problem: The first words of the error's message.

    Raises:
        InvalidResponseError: Something in it is of no known kind.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join([text_of(part, problem) for part in content])
    if isinstance(content, dict):
        return _text_of_part(content, problem)
    if content is None:
        return ""
    raise invalid_body(f"{problem}: it holds something that is no text", content)


def _text_of_part(part: dict[str, Any], problem: str) -> str:
    kind = part.get("type")
    if kind in _OF_TEXT and ("text" in part or "value" in part):
        return text_of(part.get("text", part.get("value")), problem)
    if kind in _OF_PARTS and "content" in part:
        return text_of(part["content"], problem)
    if not isinstance(kind, str):
        raise invalid_body(f"{problem}: it holds something that is no text", part)
    return ""
