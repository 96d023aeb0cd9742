"""What a choice says: its text, and what stands beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.openai.choice import finish_reason_of
from lm_eval_so.runner.backends.openai.content import readable, text_of, thoughts_of
from lm_eval_so.runner.backends.openai.thoughts import split_thoughts
from lm_eval_so.runner.models.finish_reason import finish_reason

if TYPE_CHECKING:
    from collections.abc import Mapping

_WITHHELD = ("length", "content_filter")


def message_of(choice: Mapping[str, Any]) -> dict[str, Any] | None:
    """The message of a choice that was not streamed; None where it has none.

    Of a choice that has its finish reason, a delta counts as the message, and one that was
    withheld or cut off before its first token has an empty one, as in a stream.
    """
    message = choice.get("message")
    if isinstance(message, dict) and message:
        return message
    told = finish_reason_of(choice)
    delta = choice.get("delta")
    if told is not None and isinstance(delta, dict):
        return delta
    if message is None and isinstance(told, str) and finish_reason(told) in _WITHHELD:
        return {}
    return message if isinstance(message, dict) else None


def answer_of(
    choice: Mapping[str, Any], message: Mapping[str, Any], *, think_tags: bool = False
) -> dict[str, Any]:
    """The fields of an AnswerChoice; what is not of its type is left out, and is in ``raw``.

    Args:
        choice: Tells its finish reason.
        message: As `message_of` finds it.
        think_tags: Whether the content begins with reasoning between ``<think>`` tags.
    """
    finish = finish_reason_of(choice)
    content, refusal = readable(message.get("content")), message.get("refusal")
    # DeepSeek, vLLM; OpenRouter, newer vLLM
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(content, list):
        reasoning = reasoning or thoughts_of(content)
        content = text_of(content)
    if think_tags and content:
        thoughts, content = split_thoughts(content)
        reasoning = reasoning or thoughts
    refusal = refusal if isinstance(refusal, str) and refusal else None
    return {
        "text": content or refusal or _spoken(message),
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


def _spoken(message: Mapping[str, Any]) -> str:
    """What was said as sound, in words."""
    audio = message.get("audio")
    words = audio.get("transcript") if isinstance(audio, dict) else None
    return words if isinstance(words, str) else ""
