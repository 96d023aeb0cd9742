"""Results as a pandas DataFrame."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.errors import LmEvalError
from lm_eval_so.runner.models import ChatResponse, RunResult, TokenUsage
from lm_eval_so.runner.summary.answers import kinds_of

if TYPE_CHECKING:
    from pandas import DataFrame

_JUDGED = {"text", "finish_reason", "refusal", "tool_calls", "choices"}
"""What of a response says whether it is cut off, refused or empty."""
_TYPES = {
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
}


def data_frame(results: Iterable[RunResult]) -> "DataFrame":
    """One row per result, failed ones included, with the same columns for every run.

    Raises:
        LmEvalError: There is no pandas.
    """
    try:
        from pandas import DataFrame  # noqa: PLC0415 - slow to import, and no dependency
    except ImportError as error:
        raise LmEvalError("to_pandas needs pandas: pip install pandas") from error
    rows = [_row(result) for result in results]
    return DataFrame(rows, columns=list(_TYPES), dtype=object).astype(_TYPES)


def _row(result: RunResult) -> dict[str, Any]:
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
        **(_answer(result.response) if result.response else {}),
    }


def _answer(response: ChatResponse) -> dict[str, Any]:
    tokens = response.tokens or TokenUsage()
    return {
        "text": response.text,
        "reasoning": response.reasoning,
        "tool_calls": response.tool_calls,
        "finish_reason": response.finish_reason,
        "input_tokens": tokens.input,
        "output_tokens": tokens.output,
        "cached_tokens": tokens.cached,
        "reasoning_tokens": tokens.reasoning,
        "model": response.model,
        **kinds_of(response.model_dump(include=_JUDGED))._asdict(),
    }
