"""One vocabulary of finish reasons: providers have words of their own for the same thing."""

_WORDS = {
    "stop": ("end_turn", "stop_sequence", "eos", "eos_token", "complete", "completed", "end"),
    "length": (
        "max_tokens",
        "max_output_tokens",
        "max_new_tokens",
        "max_length",
        "model_length",
        "model_context_window_exceeded",
        "token_limit",
    ),
    "content_filter": (
        "content_filtered",
        "guardrail_intervened",
        "refusal",
        "safety",
        "sensitive",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "image_safety",
    ),
    "tool_calls": ("tool_use", "tool_call", "function_call"),
    "error": (),
}
"""Ours, and what it stands for: Anthropic, Gemini, Bedrock, Cohere, Mistral, TGI, Zhipu."""

_OURS = {word: ours for ours, words in _WORDS.items() for word in (ours, *words)}


def finish_reason(told: str | None) -> str | None:
    """``stop``, ``length``, ``content_filter``, ``tool_calls`` or ``error``; else as it is told."""
    if told is None or told in _WORDS:
        return told
    word, _, _ = told.lower().partition(":")  # Gemini: content_filter: PROHIBITED_CONTENT
    return _OURS.get(word, told)
