"""Errors that come with a 200 as the finish reason of a choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lm_eval_so.runner.backends.http.error_response import from_error_object
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


def failed_finish(choice: Mapping[str, Any]) -> BackendError | None:
    """The error that a choice's finish reason stands for; None where it stands for none."""
    reason = finish_reason_of(choice)
    if not isinstance(reason, str) or reason.lower() not in _FAILED:
        return None
    message = f"the answer was given up by the server (finish_reason {reason!r})"
    return from_error_object({"choice": dict(choice)}, message)
