"""A result as a row of a table, with the columns that DataFrames and exports share."""

from typing import Any, Final, Literal

from lm_eval_so.runner.models import ChatResponse, RunResult, TokenUsage
from lm_eval_so.runner.summary.answers import kinds_of

ColumnType = Literal["string", "int64", "Int64", "float64", "bool", "object"]
"""As pandas calls it: ``Int64`` may be missing, ``object`` is any JSON value."""

COLUMNS: Final[dict[str, ColumnType]] = {
    "sample_id": "string",
    "repeat": "int64",
    "status": "string",
    "messages": "object",
    "text": "string",
    "reasoning": "string",
    "tool_calls": "object",
    "finish_reason": "string",
    "expected": "object",
    "tags": "object",
    "metadata": "object",
    "error_type": "string",
    "error": "string",
    "latency_ms": "float64",
    "input_tokens": "Int64",
    "output_tokens": "Int64",
    "cached_tokens": "Int64",
    "reasoning_tokens": "Int64",
    "cost_usd": "float64",
    "truncated": "bool",
    "refused": "bool",
    "empty": "bool",
    "attempts": "int64",
    "model": "string",
    "time_to_first_token_ms": "float64",
    "request_key": "string",
}
_JUDGED = {"text", "finish_reason", "refusal", "tool_calls", "choices"}
"""What of a response says whether it is cut off, refused or empty."""


def row_of(result: RunResult) -> dict[str, Any]:
    """The values of ``COLUMNS``; what is missing is None, or has no key."""
    context, error = result.request_context, result.error
    return {
        "sample_id": result.sample_id,
        "repeat": result.repeat,
        "status": result.status,
        "messages": result.request_messages,
        "expected": context.expected,
        "tags": context.sample_tags,
        "metadata": context.sample_metadata,
        "error_type": error and error.error_type,
        "error": error and error.message,
        "latency_ms": result.latency_ms,
        "cost_usd": result.cost_usd,
        "attempts": result.attempts,
        "truncated": False,
        "refused": False,
        "empty": False,
        "request_key": result.request_key,
        **(_answer(result.response) if result.response else {}),
    }


def _answer(response: ChatResponse) -> dict[str, Any]:
    tokens = response.tokens or TokenUsage()
    return {
        "text": response.text,
        "reasoning": response.reasoning,
        "tool_calls": response.tool_calls,
        "finish_reason": response.finish_reason,
        "input_tokens": _int64(tokens.input),
        "output_tokens": _int64(tokens.output),
        "cached_tokens": _int64(tokens.cached),
        "reasoning_tokens": _int64(tokens.reasoning),
        "model": response.model,
        "time_to_first_token_ms": response.time_to_first_token_ms,
        **kinds_of(response.model_dump(include=_JUDGED))._asdict(),
    }


def _int64(count: int | None) -> int | None:
    """The count; None for one that a server has made up, which no column can hold."""
    return None if count is None or not -(1 << 63) <= count < 1 << 63 else count
