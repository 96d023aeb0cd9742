"""Errors that come with a 200: in the place of an answer, in a chunk or in a choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.error_response import from_error_object
from lm_eval_so.runner.backends.http.no_error import tells_no_error
from lm_eval_so.runner.backends.openai.choice import finish_reason_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lm_eval_so.runner.errors import BackendError

_FAILED = frozenset(
    {
        "error",  # OpenRouter, Mistral, vLLM, Cohere
        "network_error",  # Zhipu
        "insufficient_system_resource",  # DeepSeek
        "abort",  # vLLM, SGLang
        "cancelled",
        "canceled",  # watsonx
        "failed",
        "model_error",
        "server_error",
        "internal_error",  # gateways
        "timeout",  # Cohere
    }
)
"""Finish reasons of a generation that failed; what there is of its text is no answer."""


def error_within(part: Mapping[str, Any]) -> BackendError | None:
    """The error that a 200 tells in its body, in a chunk or in a choice.

    None where it tells none; an empty one (``{}``, or nothing but nulls) is none, nor is one beside
    an answer that says so.
    """
    error = part.get("error")
    if "error" in (part.get("object"), part.get("type")):  # vLLM, SGLang; Anthropic
        error = error or part
    if not error or (isinstance(error, dict) and not any(error.values())):
        return None
    if part.get("choices") and tells_no_error(error):
        return None
    if isinstance(error, list):  # Gemini
        error = error[0]
    fields = error if isinstance(error, dict) else {"message": str(error)}
    return from_error_object(fields, str(fields.get("message") or fields))


def failed_finish(choice: Mapping[str, Any]) -> BackendError | None:
    """The error that a choice's finish reason stands for; None where it stands for none."""
    reason = finish_reason_of(choice)
    if not isinstance(reason, str) or reason.lower() not in _FAILED:
        return None
    message = f"the answer was given up by the server (finish_reason {reason!r})"
    return from_error_object({"choice": dict(choice)}, message)
