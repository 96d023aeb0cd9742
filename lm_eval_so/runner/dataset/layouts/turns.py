"""Conversations that end with the answer that is wanted."""

from typing import Any

from lm_eval_so.runner.dataset.layouts.draft import Draft


def take_answer(draft: Draft, turns: list[dict[str, Any]]) -> None:
    """Sets the conversation; a last turn of the assistant becomes ``expected``, and is not sent.

    An answer of tool calls alone becomes their list.
    """
    if turns and turns[-1].get("role") == "assistant":
        answer = turns[-1]
        turns = turns[:-1]
        if draft.expected is None:
            draft.expected = answer.get("content") or answer.get("tool_calls")
    if not turns:
        raise ValueError("the conversation has no turn before the assistant's")
    draft.messages = turns
