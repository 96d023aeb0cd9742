"""What a choice says: its text, and what stands beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.openai.choice import finish_reason_of
from lm_eval_so.runner.backends.openai.thoughts import split_thoughts

if TYPE_CHECKING:
    from collections.abc import Mapping

_THOUGHTS = ("thinking", "reasoning")  # types of content parts


def answer_of(choice: Mapping[str, Any], *, think_tags: bool = False) -> dict[str, Any]:
    """The fields of an AnswerChoice; what is not of its type is left out, and is in ``raw``.

    Args:
        choice: With its ``message``, an object.
        think_tags: Whether the content begins with reasoning between ``<think>`` tags.
    """
    message, finish = choice["message"], finish_reason_of(choice)
    content, refusal = message.get("content"), message.get("refusal")
    # DeepSeek, vLLM; OpenRouter, newer vLLM
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if not isinstance(content, str | None):
        reasoning = reasoning or _thoughts_of(content)
        content = _text_of(content)
    if think_tags and content:
        thoughts, content = split_thoughts(content)
        reasoning = reasoning or thoughts
    refusal = refusal if isinstance(refusal, str) and refusal else None
    return {
        "text": content or refusal or "",
        "finish_reason": finish if isinstance(finish, str) else None,
        "reasoning": reasoning if isinstance(reasoning, str) else None,
        "tool_calls": _tool_calls_of(message),
        "refusal": refusal,
    }


def _tool_calls_of(message: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    calls, call = message.get("tool_calls"), message.get("function_call")
    if isinstance(call, dict) and not calls:  # the form before tools
        return [{"type": "function", "function": call}]
    if not isinstance(calls, list):
        return None
    return [each for each in calls if isinstance(each, dict)] or None


def _text_of(part: object) -> str:
    """The text of a part of a content: an object, a list of parts or a plain string."""
    match part:
        case str():
            return part
        case list():
            return "".join(map(_text_of, part))
        case {"type": "thinking" | "reasoning"}:
            return ""
        case {"text": text} | {"value": text}:  # OpenAI's Assistants: {"text": {"value": ...}}
            return _text_of(text)
    return ""


def _thoughts_of(content: object) -> str:
    """The reasoning among the parts of a content (Mistral)."""
    parts = content if isinstance(content, list) else [content]
    found = (part for part in parts if isinstance(part, dict) and part.get("type") in _THOUGHTS)
    return "".join(_text_of(part.get(part["type"]) or part.get("text")) for part in found)
