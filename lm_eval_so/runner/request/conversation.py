"""The parts of a conversation: its system messages, its turns, the text of a turn."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lm_eval_so.runner.models import Message

_SYSTEM = ("system", "developer")


def without_system(messages: list[Message]) -> tuple[list[Message], list[Message]]:
    """The system messages at the beginning, and everything after them."""
    own = list(takewhile(lambda message: message["role"] in _SYSTEM, messages))
    return own, messages[len(own) :]


def last_user_turn(messages: list[Message]) -> int | None:
    """The position of the last user turn."""
    found = (n for n in reversed(range(len(messages))) if messages[n]["role"] == "user")
    return next(found, None)


def text_of(message: Message) -> str:
    """The text of a message; of content parts, the text parts on lines of their own."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if _is_text(part))
    return content or ""


def with_text(message: Message, text: str) -> Message:
    """The message with another text, which takes the place of its first text part."""
    content = message.get("content")
    if not isinstance(content, list):
        return {**message, "content": text}
    first = next((n for n, part in enumerate(content) if _is_text(part)), len(content))
    others = [part for part in content[first:] if not _is_text(part)]
    return {**message, "content": [*content[:first], text_part(text), *others]}


def text_part(text: str) -> dict[str, Any]:
    """A content part with a text."""
    return {"type": "text", "text": text}


def _is_text(part: dict[str, Any]) -> bool:
    return part.get("type") == "text"
