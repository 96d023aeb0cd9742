"""Finish reasons have one vocabulary, whatever a provider calls them."""

from __future__ import annotations

import pytest

from lm_eval_so.runner.models import ChatResponse


@pytest.mark.parametrize(
    ("told", "ours"),
    [
        ("stop", "stop"),
        ("end_turn", "stop"),
        ("eos_token", "stop"),
        ("STOP", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("content_filter", "content_filter"),
        ("SAFETY", "content_filter"),
        ("content_filter: PROHIBITED_CONTENT", "content_filter"),
        ("function_call_filter: MALFORMED", "function_call_filter: MALFORMED"),
        ("refusal", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("tool_use", "tool_calls"),
        ("function_call", "tool_calls"),
        ("pause_turn", "pause_turn"),
        ("", ""),
        (None, None),
    ],
)
def test_words_of_providers_become_one_vocabulary(told: str | None, ours: str | None) -> None:
    assert ChatResponse(text="", finish_reason=told).finish_reason == ours
